#include "jinja/functions.h"

#include <fmt/format.h>

#include <ctime>

#include "jinja/evaluator.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"
#include "jinja/utf8.h"

namespace tenfold::jinja {
namespace {

constexpr int64_t kMaxRange = 100'000;  // as in jinja2's sandbox
constexpr size_t kMaxTimeFormatBytes = 1000;

Value Range(Evaluator& evaluator, const CallArguments& arguments) {
  Run& run = evaluator.run();
  const std::vector<Value>& given = arguments.positional;
  if (given.empty() || given.size() > 3 || !arguments.named.empty()) {
    return run.Fail("range takes one to three numbers");
  }
  for (const Value& v : given) {
    if (!v.IsInteger()) {
      return run.Fail(v.Is(Kind::kUndefined) ? WhyUndefined(v)
                                             : fmt::format("range needs integers, not {}", TypeName(v)));
    }
  }
  const int64_t start = given.size() > 1 ? given[0].AsInteger() : 0;
  const int64_t stop = given[given.size() > 1 ? 1 : 0].AsInteger();
  const int64_t step = given.size() > 2 ? given[2].AsInteger() : 1;
  if (step == 0) return run.Fail("the step of a range cannot be 0");
  const bool any = step > 0 ? start < stop : start > stop;
  const uint64_t distance = !any ? 0
                                 : (step > 0 ? static_cast<uint64_t>(stop) - static_cast<uint64_t>(start)
                                             : static_cast<uint64_t>(start) - static_cast<uint64_t>(stop));
  const uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : 0 - static_cast<uint64_t>(step);
  const uint64_t count = any ? (distance - 1) / stride + 1 : 0;
  if (count > kMaxRange) return run.Fail(fmt::format("a range of more than {} numbers", kMaxRange));
  if (!run.Reserve(count * sizeof(Value))) return {};
  bool is_data = false;
  for (const Value& v : given) is_data |= v.is_data;
  std::vector<Value> items;
  items.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    items.push_back(Value::Int(start + static_cast<int64_t>(i) * step, is_data));
  }
  Value range = run.NewSequence(Kind::kRange, std::move(items));
  if (run.failed()) return {};
  range.sequence->range[0] = start;
  range.sequence->range[1] = stop;
  range.sequence->range[2] = step;
  return range;
}

// The pairs that dict(x, a=1) and namespace(x, a=1) take: x is a dict or a sequence of pairs.
bool Pairs(Run& run, std::string_view what, const CallArguments& arguments, std::vector<std::pair<Value, Value>>* out) {
  if (arguments.positional.size() > 1) {
    run.Fail(fmt::format("{} takes at most one argument without a name", what));
    return false;
  }
  if (!arguments.positional.empty() && arguments.positional[0].Is(Kind::kDict)) {
    if (!run.Reserve(arguments.positional[0].dict->entries.size() * 2 * sizeof(Value))) return false;
    *out = arguments.positional[0].dict->entries;
  } else if (!arguments.positional.empty()) {
    std::vector<Value> items;
    if (!Iterate(run, arguments.positional[0], &items)) return false;
    for (const Value& item : items) {
      std::vector<Value> pair;
      if (!Iterate(run, item, &pair)) return false;
      if (pair.size() != 2) {
        run.Fail(fmt::format("{} needs pairs, not {} values", what, pair.size()));
        return false;
      }
      out->emplace_back(pair[0], pair[1]);
    }
  }
  for (const auto& [name, value] : arguments.named) out->emplace_back(run.NewText(name), value);
  return !run.failed();
}

Value MakeDict(Evaluator& evaluator, const CallArguments& arguments) {
  std::vector<std::pair<Value, Value>> entries;
  if (!Pairs(evaluator.run(), "dict", arguments, &entries)) return {};
  return evaluator.run().NewDict(std::move(entries));
}

Value MakeNamespace(Evaluator& evaluator, const CallArguments& arguments) {
  Run& run = evaluator.run();
  std::vector<std::pair<Value, Value>> entries;
  if (!Pairs(run, "namespace", arguments, &entries)) return {};
  Value space = run.NewNamespace();
  for (const auto& [key, value] : entries) {
    if (run.failed()) return {};
    if (!key.Is(Kind::kText)) return run.Fail("the attributes of a namespace must be strings");
    if (run.Reserve(key.text->bytes().size() + sizeof(Value))) space.space->attributes[key.text->bytes()] = value;
  }
  return space;
}

Value RaiseException(Evaluator& evaluator, const CallArguments& arguments) {
  Run& run = evaluator.run();
  std::vector<Value> bound;
  if (!arguments.Bind(run, "raise_exception", "message", 1, &bound)) return {};
  const MarkedText message = ToText(run, bound[0]);
  if (run.failed()) return {};
  constexpr size_t kMaxCharacters = 1000;
  return run.Raise(message.bytes().substr(0, ByteOffset(message.bytes(), kMaxCharacters)));
}

// The local time, as datetime.now().strftime(format).
Value StrftimeNow(Evaluator& evaluator, const CallArguments& arguments) {
  Run& run = evaluator.run();
  std::vector<Value> bound;
  if (!arguments.Bind(run, "strftime_now", "format", 1, &bound)) return {};
  if (!bound[0].Is(Kind::kText)) return run.Fail("strftime_now needs a string");
  const std::string& format = bound[0].text->bytes();
  if (format.size() > kMaxTimeFormatBytes || format.find('\0') != std::string::npos) {
    return run.Fail(fmt::format("the format of strftime_now has more than {} bytes, or a zero", kMaxTimeFormatBytes));
  }
  const auto now = static_cast<std::time_t>(evaluator.now_unix_s());
  std::tm local{};
  localtime_r(&now, &local);
  char buffer[16384];
  // A leading character tells an empty result from one that does not fit.
  const size_t size = std::strftime(buffer, sizeof(buffer), (" " + format).c_str(), &local);
  if (size == 0) return run.Fail("the result of strftime_now is too long");
  const std::string_view text(buffer + 1, size - 1);
  if (!IsUtf8(text)) return run.Fail("the result of strftime_now is not UTF-8");
  return run.NewText(text, bound[0].text->marked.has_data());
}

}  // namespace

Function FindFunction(std::string_view name) {
  if (name == "range") return Range;
  if (name == "dict") return MakeDict;
  if (name == "namespace") return MakeNamespace;
  if (name == "raise_exception") return RaiseException;
  if (name == "strftime_now") return StrftimeNow;
  return nullptr;
}

}  // namespace tenfold::jinja
