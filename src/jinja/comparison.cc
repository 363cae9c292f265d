// Equality, order and membership.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "jinja/operators.h"
#include "jinja/python_text.h"

namespace tenfold::jinja {
namespace {

bool TooDeep(Run& run, int depth) {
  if (depth <= kMaxValueDepth) return run.Charge(1) ? false : true;
  run.Fail(fmt::format("values nested more than {} deep", kMaxValueDepth));
  return true;
}

// Ints beyond 2^53 compare exactly: an 80-bit float holds every 64-bit integer and every double.
long double Exact(const Value& v) {
  return v.Is(Kind::kFloat) ? static_cast<long double>(v.number) : static_cast<long double>(v.AsInteger());
}

bool SequencesEqual(Run& run, const Value& a, const Value& b, int depth) {
  const auto &x = a.sequence->items, &y = b.sequence->items;
  if (x.size() != y.size()) return false;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!Equals(run, x[i], y[i], depth + 1)) return false;
  }
  return true;
}

bool DictsEqual(Run& run, const Dict& a, const Dict& b, int depth) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, value] : a.entries) {
    const Value* other = Find(b, key);
    if (other == nullptr || !Equals(run, value, *other, depth + 1)) return false;
  }
  return true;
}

int ClassOf(const Value& v) {
  switch (v.kind) {
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kFloat:
      return 1;
    case Kind::kText:
      return 2;
    case Kind::kTuple:
      return 3;
    case Kind::kUndefined:
      return 4;
    default:
      return 0;
  }
}

}  // namespace

bool Equals(Run& run, const Value& a, const Value& b, int depth) {
  if (TooDeep(run, depth)) return false;
  if (a.IsNumber() && b.IsNumber()) return Exact(a) == Exact(b);
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kText:
      run.ChargeBytes(std::min(a.text->bytes().size(), b.text->bytes().size()));
      return a.text == b.text || a.text->bytes() == b.text->bytes();
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange:
      return a.sequence == b.sequence || SequencesEqual(run, a, b, depth);
    case Kind::kDict:
      return a.dict == b.dict || DictsEqual(run, *a.dict, *b.dict, depth);
    case Kind::kView:
    case Kind::kGenerator:
      return a.sequence == b.sequence;
    case Kind::kNamespace:
      return a.space == b.space;
    case Kind::kCallable:
      return a.callable == b.callable;
    case Kind::kLoop:
      return a.loop == b.loop;
    default:
      return false;
  }
}

bool Less(Run& run, const Value& a, const Value& b, int depth) {
  if (TooDeep(run, depth)) return false;
  if (a.IsNumber() && b.IsNumber()) return Exact(a) < Exact(b);
  if (a.Is(Kind::kText) && b.Is(Kind::kText)) {
    run.ChargeBytes(std::min(a.text->bytes().size(), b.text->bytes().size()));
    return a.text->bytes() < b.text->bytes();  // UTF-8 sorts as its code points do
  }
  if ((a.Is(Kind::kList) || a.Is(Kind::kTuple)) && a.kind == b.kind) {
    const auto &x = a.sequence->items, &y = b.sequence->items;
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      if (!Equals(run, x[i], y[i], depth + 1)) return Less(run, x[i], y[i], depth + 1);
    }
    return x.size() < y.size();
  }
  for (const Value& v : {a, b}) {
    if (v.Is(Kind::kUndefined)) run.Fail(WhyUndefined(v));
  }
  run.Fail(fmt::format("{} and {} have no order", TypeName(a), TypeName(b)));
  return false;
}

bool Contains(Run& run, const Value& container, const Value& item) {
  if (container.Is(Kind::kText)) {
    if (!item.Is(Kind::kText)) {
      if (item.Is(Kind::kUndefined)) run.Fail(WhyUndefined(item));
      run.Fail(fmt::format("'in' a string needs a string on its left, not {}", TypeName(item)));
      return false;
    }
    const std::string &hay = container.text->bytes(), &needle = item.text->bytes();
    if (!run.ChargeBytes(hay.size() + needle.size())) return false;
    // Two-way search: linear, whatever the strings.
    return needle.empty() || memmem(hay.data(), hay.size(), needle.data(), needle.size()) != nullptr;
  }
  if (container.Is(Kind::kDict)) {
    if (!IsHashable(item)) {
      run.Fail(fmt::format("a {} cannot be a key of a dict", TypeName(item)));
      return false;
    }
    run.Charge(8);
    return Find(*container.dict, item) != nullptr;
  }
  std::vector<Value> items;
  if (!Iterate(run, container, &items)) return false;
  for (const Value& candidate : items) {
    if (Equals(run, candidate, item)) return true;
    if (run.failed()) return false;
  }
  return false;
}

bool IsHashable(const Value& value, int depth) {
  switch (value.kind) {
    case Kind::kList:
    case Kind::kDict:
    case Kind::kView:
    case Kind::kGenerator:
    case Kind::kRange:
    case Kind::kNamespace:
    case Kind::kCallable:
    case Kind::kLoop:
    case Kind::kMissing:
      return false;
    case Kind::kTuple:
      return depth < kMaxValueDepth && std::all_of(value.sequence->items.begin(), value.sequence->items.end(),
                                                   [&](const Value& v) { return IsHashable(v, depth + 1); });
    default:
      return true;
  }
}

int CompareKeys(const Value& a, const Value& b) {
  const int class_a = ClassOf(a), class_b = ClassOf(b);
  if (class_a != class_b) return class_a - class_b;
  if (class_a == 1) {
    const long double x = Exact(a), y = Exact(b);
    if (std::isnan(x) || std::isnan(y)) return static_cast<int>(std::isnan(y)) - static_cast<int>(std::isnan(x));
    return x < y ? -1 : x > y ? 1 : 0;
  }
  if (class_a == 2) return a.text->bytes().compare(b.text->bytes());
  if (class_a == 3) {
    const auto &x = a.sequence->items, &y = b.sequence->items;
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      if (const int order = CompareKeys(x[i], y[i]); order != 0) return order;
    }
    return x.size() < y.size() ? -1 : x.size() > y.size() ? 1 : 0;
  }
  return 0;
}

const Value* Find(const Dict& dict, const Value& key) {
  const auto it = std::lower_bound(dict.by_key.begin(), dict.by_key.end(), key, [&](uint32_t index, const Value& k) {
    return CompareKeys(dict.entries[index].first, k) < 0;
  });
  if (it == dict.by_key.end() || CompareKeys(dict.entries[*it].first, key) != 0) return nullptr;
  return &dict.entries[*it].second;
}

const Value* Find(const Dict& dict, std::string_view key) {
  Text text;
  text.marked = MarkedText(key, false);
  Value value = Value::Of(Kind::kText);
  value.text = &text;
  return Find(dict, value);
}

}  // namespace tenfold::jinja
