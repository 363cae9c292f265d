// Filters that apply another filter or test to each item: map, select, reject, selectattr, rejectattr.
#include <fmt/format.h>

#include "jinja/attribute_path.h"
#include "jinja/evaluator.h"
#include "jinja/filters.h"
#include "jinja/operators.h"
#include "jinja/value_tests.h"

namespace tenfold::jinja {
namespace {

// The arguments behind the first `count`.
CallArguments Rest(const CallArguments& all, size_t count) {
  CallArguments out;
  out.positional.assign(all.positional.begin() + static_cast<ptrdiff_t>(std::min(count, all.positional.size())),
                        all.positional.end());
  out.named = all.named;
  return out;
}

Value MapAttribute(const FilterCall& c, const std::vector<Value>& items) {
  Value attribute = Value::Missing(), otherwise = Value::Missing();
  for (const auto& [name, value] : c.raw.named) {
    if (name == "attribute") {
      attribute = value;
    } else if (name == "default") {
      otherwise = value;
    } else {
      return c.run.Fail(fmt::format("map takes no argument '{}'", name.substr(0, 100)));
    }
  }
  if (attribute.Is(Kind::kMissing)) return c.run.Fail("map needs the name of a filter, or attribute=");
  std::vector<Value> out;
  for (const Value& item : items) {
    if (c.run.failed()) return {};
    out.push_back(AttributeOf(c.evaluator, item, attribute, otherwise));
  }
  return c.run.NewSequence(Kind::kGenerator, std::move(out), "sync_do_map");
}

Value Map(const FilterCall& c) {
  std::vector<Value> items;
  if (!Iterate(c.run, c.subject, &items)) return {};
  if (c.raw.positional.empty()) return MapAttribute(c, items);
  const Value& name = c.raw.positional[0];
  const Filter* filter = name.Is(Kind::kText) ? FindFilter(name.text->bytes()) : nullptr;
  if (filter == nullptr) {
    return c.run.Fail(name.Is(Kind::kText) ? fmt::format("unknown filter '{}'", name.text->bytes().substr(0, 100))
                                           : "map needs the name of a filter");
  }
  const CallArguments arguments = Rest(c.raw, 1);
  std::vector<Value> out;
  for (const Value& item : items) {
    if (c.run.failed()) return {};
    out.push_back(ApplyFilter(c.evaluator, *filter, item, arguments));
  }
  return c.run.NewSequence(Kind::kGenerator, std::move(out), "sync_do_map");
}

// The items of which the test holds, or does not. The test's name and arguments begin at positional[first].
Value Choose(const FilterCall& c, bool keep, bool by_attribute) {
  std::vector<Value> items;
  if (!Iterate(c.run, c.subject, &items)) return {};
  const size_t first = by_attribute ? 1 : 0;
  if (c.raw.positional.size() < first) return c.run.Fail("the name of an attribute is missing");
  const ValueTest* test = nullptr;
  if (c.raw.positional.size() > first) {
    const Value& name = c.raw.positional[first];
    test = name.Is(Kind::kText) ? FindTest(name.text->bytes()) : nullptr;
    if (test == nullptr) {
      return c.run.Fail(name.Is(Kind::kText) ? fmt::format("unknown test '{}'", name.text->bytes().substr(0, 100))
                                             : "the name of a test must be a string");
    }
  }
  const CallArguments arguments = Rest(c.raw, first + 1);
  std::vector<Value> out;
  for (const Value& item : items) {
    const Value looked_at = by_attribute ? AttributeOf(c.evaluator, item, c.raw.positional[0], Value::Missing()) : item;
    if (c.run.failed()) return {};
    const bool holds = test == nullptr ? Truthy(looked_at) : ApplyTest(c.run, *test, looked_at, arguments);
    if (holds == keep) out.push_back(item);
  }
  return c.run.NewSequence(Kind::kGenerator, std::move(out), "sync_do_select");
}

template <bool keep, bool by_attribute>
Value Chosen(const FilterCall& c) {
  return Choose(c, keep, by_attribute);
}

}  // namespace

const std::vector<Filter>& SelectFilters() {
  static const std::vector<Filter> filters = {
      {"map", Map, "*"},
      {"reject", Chosen<false, false>, "*"},
      {"rejectattr", Chosen<false, true>, "*"},
      {"select", Chosen<true, false>, "*"},
      {"selectattr", Chosen<true, true>, "*"},
  };
  return filters;
}

}  // namespace tenfold::jinja
