// Filters that take lists and dicts apart and put them together.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "jinja/attribute_path.h"
#include "jinja/evaluator.h"
#include "jinja/filters.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"

namespace tenfold::jinja {
namespace {

bool Given(const FilterCall& c, size_t i) { return !c.arguments[i].Is(Kind::kMissing); }
bool IsTrue(const FilterCall& c, size_t i) { return Given(c, i) && Truthy(c.arguments[i]); }

bool Items(const FilterCall& c, std::vector<Value>* out) { return Iterate(c.run, c.subject, out); }

Value Default(const FilterCall& c) {
  const bool missing = c.subject.Is(Kind::kUndefined) || (IsTrue(c, 1) && !Truthy(c.subject));
  if (!missing) return c.subject;
  return Given(c, 0) ? c.arguments[0] : c.run.NewText("");
}

Value Attr(const FilterCall& c) {
  if (!c.arguments[0].Is(Kind::kText)) return c.run.Fail("attr needs the name of an attribute");
  // Attributes only: keys of a dict are not.
  if (!c.subject.Is(Kind::kDict)) return c.evaluator.Attribute(c.subject, c.arguments[0]);
  const Value nothing = c.run.NewDict({});
  const Value method = c.evaluator.Attribute(nothing, c.arguments[0]);
  return method.Is(Kind::kUndefined) ? method : c.evaluator.Attribute(c.subject, c.arguments[0]);
}

Value First(const FilterCall& c) {
  std::vector<Value> items;
  if (!Items(c, &items)) return {};
  return items.empty() ? c.run.Undefined("the sequence has no first item: it is empty") : items.front();
}

Value Last(const FilterCall& c) {
  if (c.subject.Is(Kind::kGenerator)) return c.run.Fail("a generator has no last item; make it a list before");
  std::vector<Value> items;
  if (!Items(c, &items)) return {};
  return items.empty() ? c.run.Undefined("the sequence has no last item: it is empty") : items.back();
}

Value ItemsFilter(const FilterCall& c) {
  if (c.subject.Is(Kind::kUndefined)) return c.run.NewSequence(Kind::kGenerator, {}, "do_items");
  if (!c.subject.Is(Kind::kDict)) {
    return c.run.Fail(fmt::format("items needs a mapping, not {}", TypeName(c.subject)));
  }
  std::vector<Value> out;
  for (const auto& [key, value] : c.subject.dict->entries) {
    if (c.run.failed()) return {};
    out.push_back(c.run.NewTuple({key, value}));
  }
  return c.run.NewSequence(Kind::kGenerator, std::move(out), "do_items");
}

Value Join(const FilterCall& c) {
  std::vector<Value> items;
  if (!Items(c, &items)) return {};
  const MarkedText separator = Given(c, 0) ? ToText(c.run, c.arguments[0]) : MarkedText();
  MarkedText out;
  for (size_t i = 0; i < items.size(); ++i) {
    const MarkedText part = ToText(c.run, AttributeOf(c.evaluator, items[i], c.arguments[1], Value::Missing()));
    if (!c.run.Reserve(part.memory_bytes() + separator.memory_bytes())) return {};
    if (i > 0) out.Append(separator);
    out.Append(part);
  }
  return c.run.NewText(std::move(out));
}

Value List(const FilterCall& c) {
  std::vector<Value> items;
  return Items(c, &items) ? c.run.NewList(std::move(items)) : Value();
}

Value Reverse(const FilterCall& c) {
  if (c.subject.Is(Kind::kText)) return Slice(c.run, c.subject, Value::None(), Value::None(), Value::Int(-1));
  std::vector<Value> items;
  const bool is_generator = c.subject.Is(Kind::kGenerator) || c.subject.Is(Kind::kUndefined);
  if (!Items(c, &items)) return {};
  std::reverse(items.begin(), items.end());
  return c.run.NewSequence(is_generator ? Kind::kList : Kind::kGenerator, std::move(items), "reversed");
}

// Sorts by precomputed keys, stably. Comparisons can fail, after which any order will do.
void SortByKeys(Run& run, std::vector<std::pair<Value, Value>>& keyed, bool reverse) {
  // Merge sort of our own would do; std::stable_sort needs an order that stays consistent, so after a failure
  // (everything equal from then on) it still ends, as it compares a bounded number of times.
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    if (run.failed()) return false;
    return reverse ? Less(run, b.first, a.first) : Less(run, a.first, b.first);
  });
}

// The value that an item is compared by; `attribute` may name several, separated by commas.
Value SortKey(const FilterCall& c, const Value& item, const Value& attribute, bool case_sensitive) {
  const auto key_of = [&](const Value& path) {
    const Value value = AttributeOf(c.evaluator, item, path, Value::Missing());
    return case_sensitive ? value : WithoutCase(c.run, value);
  };
  if (!attribute.Is(Kind::kText) || attribute.text->bytes().find(',') == std::string::npos) return key_of(attribute);
  std::vector<Value> parts;
  const std::string& all = attribute.text->bytes();
  for (size_t at = 0; at <= all.size();) {
    const size_t end = std::min(all.find(',', at), all.size());
    parts.push_back(key_of(c.run.NewText(all.substr(at, end - at))));
    at = end + 1;
  }
  return c.run.NewTuple(std::move(parts));
}

Value Sorted(const FilterCall& c, const std::vector<Value>& items, bool reverse, bool case_sensitive,
             const Value& attribute) {
  std::vector<std::pair<Value, Value>> keyed;
  if (!c.run.Reserve(items.size() * 2 * sizeof(Value))) return {};
  for (const Value& item : items) keyed.emplace_back(SortKey(c, item, attribute, case_sensitive), item);
  if (c.run.failed()) return {};
  SortByKeys(c.run, keyed, reverse);
  std::vector<Value> out;
  for (const auto& [key, item] : keyed) out.push_back(item);
  return c.run.failed() ? Value() : c.run.NewList(std::move(out));
}

Value Sort(const FilterCall& c) {
  std::vector<Value> items;
  return Items(c, &items) ? Sorted(c, items, IsTrue(c, 0), IsTrue(c, 1), c.arguments[2]) : Value();
}

Value Dictsort(const FilterCall& c) {
  if (!c.subject.Is(Kind::kDict)) {
    return c.run.Fail(c.subject.Is(Kind::kUndefined)
                          ? WhyUndefined(c.subject)
                          : fmt::format("dictsort needs a dict, not {}", TypeName(c.subject)));
  }
  const std::string by = Given(c, 1) ? std::move(ToText(c.run, c.arguments[1])).TakeBytes() : "key";
  if (by != "key" && by != "value") return c.run.Fail("dictsort sorts by \"key\" or \"value\"");
  std::vector<Value> pairs;
  for (const auto& [key, value] : c.subject.dict->entries) pairs.push_back(c.run.NewTuple({key, value}));
  if (c.run.failed()) return {};
  return Sorted(c, pairs, IsTrue(c, 2), IsTrue(c, 0), Value::Int(by == "key" ? 0 : 1));
}

template <bool largest>
Value Extreme(const FilterCall& c) {
  std::vector<Value> items;
  if (!Items(c, &items)) return {};
  if (items.empty()) return c.run.Undefined("an empty sequence has neither smallest nor largest item");
  Value best = items[0], best_key = SortKey(c, items[0], c.arguments[1], IsTrue(c, 0));
  for (size_t i = 1; i < items.size() && !c.run.failed(); ++i) {
    const Value key = SortKey(c, items[i], c.arguments[1], IsTrue(c, 0));
    if (largest ? Less(c.run, best_key, key) : Less(c.run, key, best_key)) {
      best = items[i];
      best_key = key;
    }
  }
  return best;
}

Value Sum(const FilterCall& c) {
  std::vector<Value> items;
  if (!Items(c, &items)) return {};
  Value total = Given(c, 1) ? c.arguments[1] : Value::Int(0);
  if (total.Is(Kind::kText)) return c.run.Fail("sum does not join strings; use join");
  for (const Value& item : items) {
    if (c.run.failed()) return {};
    total = Arithmetic(c.run, "+", total, AttributeOf(c.evaluator, item, c.arguments[0], Value::Missing()));
  }
  return total;
}

struct KeyOrder {
  bool operator()(const Value& a, const Value& b) const { return CompareKeys(a, b) < 0; }
};

Value Unique(const FilterCall& c) {
  std::vector<Value> items, out;
  if (!Items(c, &items)) return {};
  std::set<Value, KeyOrder> seen;
  for (const Value& item : items) {
    const Value key = SortKey(c, item, c.arguments[1], IsTrue(c, 0));
    if (!c.run.Reserve(sizeof(Value) + 48) || !c.run.Charge(8)) return {};
    if (!IsHashable(key)) return c.run.Fail(fmt::format("unique cannot compare a {}", TypeName(key)));
    if (seen.insert(key).second) out.push_back(item);
  }
  return c.run.NewSequence(Kind::kGenerator, std::move(out), "sync_do_unique");
}

Value Groupby(const FilterCall& c) {
  std::vector<Value> items, groups;
  if (!Items(c, &items)) return {};
  const bool case_sensitive = IsTrue(c, 2);
  const auto key_of = [&](const Value& item) { return AttributeOf(c.evaluator, item, c.arguments[0], c.arguments[1]); };
  std::vector<std::pair<Value, Value>> keyed;
  if (!c.run.Reserve(items.size() * 2 * sizeof(Value))) return {};
  for (const Value& item : items) {
    const Value key = key_of(item);
    keyed.emplace_back(case_sensitive ? key : WithoutCase(c.run, key), item);
  }
  if (c.run.failed()) return {};
  SortByKeys(c.run, keyed, false);
  for (size_t i = 0; i < keyed.size() && !c.run.failed();) {
    std::vector<Value> members;
    size_t end = i;
    while (end < keyed.size() && Equals(c.run, keyed[end].first, keyed[i].first))
      members.push_back(keyed[end++].second);
    if (end == i) break;  // not equal to itself, or failed
    const Value key = key_of(members[0]);
    groups.push_back(c.run.NewSequence(Kind::kTuple, {key, c.run.NewList(std::move(members))}, kGroupName.data()));
    i = end;
  }
  return c.run.failed() ? Value() : c.run.NewList(std::move(groups));
}

int64_t CountAt(const FilterCall& c, size_t i) {
  if (c.arguments[i].IsInteger() && c.arguments[i].AsInteger() > 0) return c.arguments[i].AsInteger();
  c.run.Fail("expected a number of at least 1");
  return 1;
}

Value Batch(const FilterCall& c) {
  std::vector<Value> items, batches;
  if (!Items(c, &items)) return {};
  const auto size = static_cast<size_t>(CountAt(c, 0));
  const bool fills = Given(c, 1) && !c.arguments[1].Is(Kind::kNone);
  for (size_t i = 0; i < items.size() && !c.run.failed(); i += std::min(size, items.size())) {
    const size_t end = i + std::min(size, items.size() - i);
    std::vector<Value> batch(items.begin() + static_cast<ptrdiff_t>(i), items.begin() + static_cast<ptrdiff_t>(end));
    if (fills && batch.size() < size) {
      if (!c.run.Reserve((size - batch.size()) * sizeof(Value))) return {};
      batch.resize(size, c.arguments[1]);
    }
    batches.push_back(c.run.NewList(std::move(batch)));
  }
  return c.run.NewSequence(Kind::kGenerator, std::move(batches), "do_batch");
}

Value SliceFilter(const FilterCall& c) {
  std::vector<Value> items, slices;
  if (!Items(c, &items)) return {};
  const auto count = static_cast<size_t>(CountAt(c, 0));
  const size_t each = items.size() / count, with_one_more = items.size() % count;
  const bool fills = Given(c, 1) && !c.arguments[1].Is(Kind::kNone);
  size_t at = 0;
  for (size_t i = 0; i < count && !c.run.failed(); ++i) {
    const size_t end = at + each + (i < with_one_more ? 1 : 0);
    std::vector<Value> slice(items.begin() + static_cast<ptrdiff_t>(at), items.begin() + static_cast<ptrdiff_t>(end));
    if (fills && i >= with_one_more) slice.push_back(c.arguments[1]);
    slices.push_back(c.run.NewList(std::move(slice)));
    at = end;
  }
  return c.run.NewSequence(Kind::kGenerator, std::move(slices), "do_slice");
}

}  // namespace

const std::vector<Filter>& SequenceFilters() {
  static const std::vector<Filter> filters = {
      {"attr", Attr, "name", 1},
      {"batch", Batch, "linecount fill_with", 1},
      {"d", Default, "default_value boolean"},
      {"default", Default, "default_value boolean"},
      {"dictsort", Dictsort, "case_sensitive by reverse"},
      {"first", First},
      {"groupby", Groupby, "attribute default case_sensitive", 1},
      {"items", ItemsFilter},
      {"join", Join, "d attribute"},
      {"last", Last},
      {"list", List},
      {"max", Extreme<true>, "case_sensitive attribute"},
      {"min", Extreme<false>, "case_sensitive attribute"},
      {"reverse", Reverse},
      {"slice", SliceFilter, "slices fill_with", 1},
      {"sort", Sort, "reverse case_sensitive attribute"},
      {"sum", Sum, "attribute start"},
      {"unique", Unique, "case_sensitive attribute"},
  };
  return filters;
}

}  // namespace tenfold::jinja
