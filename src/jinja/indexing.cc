// Walking, indexing and slicing of texts, lists, tuples and dicts.
#include <fmt/format.h>

#include <algorithm>

#include "jinja/operators.h"
#include "jinja/python_text.h"
#include "jinja/utf8.h"

namespace tenfold::jinja {
namespace {

bool IsAscii(const Text& text) { return text.characters == text.bytes().size(); }

Value CharacterAt(Run& run, const Text& text, size_t index) {
  const std::string& bytes = text.bytes();
  if (!IsAscii(text)) run.ChargeBytes(bytes.size());
  const size_t at = IsAscii(text) ? index : ByteOffset(bytes, index);
  return run.NewText(text.marked.Slice(at, at + CharacterBytes(bytes, at)), text.is_markup);
}

// Python's slice.indices(): where a slice of `length` items starts, how many it takes.
struct Span {
  int64_t start;
  int64_t step;
  int64_t count;
};
bool SpanOf(Run& run, int64_t length, const Value& start, const Value& stop, const Value& step, Span* out) {
  for (const Value& v : {start, stop, step}) {
    if (!v.Is(Kind::kNone) && !v.IsInteger()) {
      run.Fail(v.Is(Kind::kUndefined) ? WhyUndefined(v)
                                      : fmt::format("a slice needs integers or none, not {}", TypeName(v)));
      return false;
    }
  }
  out->step = step.Is(Kind::kNone) ? 1 : step.AsInteger();
  if (out->step == 0) {
    run.Fail("the step of a slice cannot be 0");
    return false;
  }
  const bool backward = out->step < 0;
  const int64_t low = backward ? -1 : 0, high = backward ? length - 1 : length;
  const auto bound = [&](const Value& v, int64_t otherwise) {
    if (v.Is(Kind::kNone)) return otherwise;
    const int64_t i = v.AsInteger();
    return std::clamp(i < 0 ? i + length : i, low, high);
  };
  out->start = bound(start, backward ? high : low);
  const int64_t end = bound(stop, backward ? low : high);
  const uint64_t distance = backward ? (end < out->start ? static_cast<uint64_t>(out->start - end) : 0)
                                     : (end > out->start ? static_cast<uint64_t>(end - out->start) : 0);
  const uint64_t stride = backward ? 0 - static_cast<uint64_t>(out->step) : static_cast<uint64_t>(out->step);
  out->count = static_cast<int64_t>((distance + stride - 1) / stride);
  if (distance == 0)
    out->count = 0;
  else if (stride > distance)
    out->count = 1;
  return true;
}

Value SliceText(Run& run, const Text& text, const Span& span) {
  const std::string& bytes = text.bytes();
  if (!run.Reserve(bytes.size() + 1)) return {};
  if (span.step == 1) {
    const auto first = static_cast<size_t>(span.start), count = static_cast<size_t>(span.count);
    const size_t begin = IsAscii(text) ? first : ByteOffset(bytes, first);
    const size_t size = IsAscii(text) ? count : ByteOffset(std::string_view(bytes).substr(begin), count);
    return run.NewText(text.marked.Slice(begin, begin + size), text.is_markup);
  }
  std::vector<size_t> offsets;  // of every character
  if (!run.Reserve(text.characters * sizeof(size_t))) return {};
  offsets.reserve(text.characters);
  for (size_t at = 0; at < bytes.size(); at += CharacterBytes(bytes, at)) offsets.push_back(at);
  MarkedText out;
  for (int64_t i = 0; i < span.count; ++i) {
    const size_t at = offsets[static_cast<size_t>(span.start + i * span.step)];
    out.Append(text.marked, at, at + CharacterBytes(bytes, at));
  }
  return run.NewText(std::move(out), text.is_markup);
}

}  // namespace

std::optional<Value> Item(Run& run, const Value& container, const Value& key) {
  switch (container.kind) {
    case Kind::kDict: {
      if (!IsHashable(key)) return std::nullopt;
      run.Charge(4);
      const Value* found = Find(*container.dict, key);
      return found == nullptr ? std::nullopt : std::optional<Value>(*found);
    }
    case Kind::kText:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange: {
      if (!key.IsInteger()) return std::nullopt;
      const int64_t length = LengthOf(container);
      int64_t index = key.AsInteger();
      if (index < 0) index += length;
      if (index < 0 || index >= length) return std::nullopt;
      if (container.Is(Kind::kText)) return CharacterAt(run, *container.text, static_cast<size_t>(index));
      return container.sequence->items[static_cast<size_t>(index)];
    }
    default:
      return std::nullopt;
  }
}

Value Slice(Run& run, const Value& container, const Value& start, const Value& stop, const Value& step) {
  if (run.failed()) return {};
  if (container.Is(Kind::kUndefined)) return run.Fail(WhyUndefined(container));
  const bool sliceable = container.Is(Kind::kText) || container.Is(Kind::kList) || container.Is(Kind::kTuple) ||
                         container.Is(Kind::kRange);
  if (!sliceable) return run.Fail(fmt::format("a {} cannot be sliced", TypeName(container)));
  Span span{};
  if (!SpanOf(run, LengthOf(container), start, stop, step, &span)) return {};
  if (container.Is(Kind::kText)) return SliceText(run, *container.text, span);
  if (!run.Reserve(static_cast<uint64_t>(span.count) * sizeof(Value))) return {};
  std::vector<Value> out;
  out.reserve(static_cast<size_t>(span.count));
  for (int64_t i = 0; i < span.count; ++i) {
    out.push_back(container.sequence->items[static_cast<size_t>(span.start + i * span.step)]);
  }
  return run.NewSequence(container.Is(Kind::kTuple) ? Kind::kTuple : Kind::kList, std::move(out));
}

bool IsIterable(const Value& value) {
  return value.IsSequence() || value.Is(Kind::kText) || value.Is(Kind::kDict) || value.Is(Kind::kUndefined);
}

bool Iterate(Run& run, const Value& value, std::vector<Value>* out) {
  if (run.failed()) return false;
  switch (value.kind) {
    case Kind::kUndefined:
      return true;
    case Kind::kText: {
      const std::string& bytes = value.text->bytes();
      if (!run.Reserve(value.text->characters * sizeof(Value))) return false;
      out->reserve(value.text->characters);
      for (size_t at = 0; at < bytes.size() && !run.failed();) {
        const size_t size = CharacterBytes(bytes, at);
        out->push_back(run.NewText(value.text->marked.Slice(at, at + size)));  // plain even of markup, as in Python
        at += size;
      }
      return !run.failed();
    }
    case Kind::kDict:
      if (!run.Reserve(value.dict->entries.size() * sizeof(Value))) return false;
      for (const auto& [key, unused] : value.dict->entries) out->push_back(key);
      return true;
    case Kind::kGenerator:
      if (value.sequence->consumed) return true;
      value.sequence->consumed = true;
      [[fallthrough]];
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange:
    case Kind::kView:
      if (!run.Reserve(value.sequence->items.size() * sizeof(Value))) return false;
      *out = value.sequence->items;
      return true;
    default:
      run.Fail(fmt::format("a {} cannot be walked over", TypeName(value)));
      return false;
  }
}

}  // namespace tenfold::jinja
