#include "jinja/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "jinja/callable.h"
#include "jinja/operators.h"
#include "jinja/utf8.h"

namespace tenfold::jinja {

Value Run::Fail(std::string message) {
  if (!failed_) message_ = std::move(message);
  failed_ = true;
  return {};
}

Value Run::Raise(std::string message) {
  if (!failed_) raised_ = true;
  return Fail(std::move(message));
}

bool Run::Charge(uint64_t steps) {
  if (failed_) return false;
  steps_ += steps;
  if (steps_ <= limits_.steps) return true;
  Fail(fmt::format("the template takes more than {} steps", limits_.steps));
  return false;
}

bool Run::Reserve(uint64_t bytes) {
  if (failed_) return false;
  if (bytes <= limits_.memory_bytes - memory_bytes_) {
    memory_bytes_ += bytes;
    return ChargeBytes(bytes);
  }
  Fail(fmt::format("the template needs more than {} MiB of memory", limits_.memory_bytes >> 20));
  return false;
}

Value Run::NewText(MarkedText text, bool is_markup) {
  if (!Reserve(sizeof(Text) + text.memory_bytes())) return {};
  Text& made = texts_.emplace_back();
  made.marked = std::move(text);
  made.is_markup = is_markup;
  made.characters = CountCharacters(made.marked.bytes());
  Value value = Value::Of(Kind::kText);
  value.text = &made;
  return value;
}

Value Run::Undefined(std::string why) {
  Value value = NewText(MarkedText(why, false));
  if (failed_) return {};
  value.kind = Kind::kUndefined;
  return value;
}

Value Run::NewSequence(Kind kind, std::vector<Value> items, const char* name) {
  if (!Reserve(sizeof(Sequence) + items.capacity() * sizeof(Value))) return {};
  Sequence& made = sequences_.emplace_back();
  made.items = std::move(items);
  made.name = name;
  Value value = Value::Of(kind);
  value.sequence = &made;
  return value;
}

Value Run::NewDict(std::vector<std::pair<Value, Value>> entries) {
  for (const auto& [key, value] : entries) {
    if (!IsHashable(key)) return Fail(fmt::format("a {} cannot be a key of a dict", TypeName(key)));
  }
  if (!Reserve(sizeof(Dict) + entries.size() * (2 * sizeof(Value) + 12))) return {};
  Charge(entries.size() * 4);
  std::vector<uint32_t> order(entries.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return CompareKeys(entries[a].first, entries[b].first) < 0; });
  // Of a run of equal keys the first keeps its place and takes the last one's value.
  std::vector<bool> dropped(entries.size(), false);
  bool any_dropped = false;
  for (size_t i = 0; i < order.size();) {
    size_t end = i + 1;
    while (end < order.size() && CompareKeys(entries[order[i]].first, entries[order[end]].first) == 0) ++end;
    if (end > i + 1) entries[order[i]].second = entries[order[end - 1]].second;
    for (size_t k = i + 1; k < end; ++k) any_dropped = dropped[order[k]] = true;
    i = end;
  }
  Dict& made = dicts_.emplace_back();
  std::vector<uint32_t> new_index(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    new_index[i] = static_cast<uint32_t>(made.entries.size());
    if (!dropped[i]) made.entries.push_back(entries[i]);
  }
  made.by_key.reserve(made.entries.size());
  for (const uint32_t i : order) {
    if (!any_dropped || !dropped[i]) made.by_key.push_back(new_index[i]);
  }
  Value value = Value::Of(Kind::kDict);
  value.dict = &made;
  return value;
}

Value Run::NewNamespace() {
  if (!Reserve(sizeof(Namespace))) return {};
  Value value = Value::Of(Kind::kNamespace);
  value.space = &spaces_.emplace_back();
  return value;
}

Value Run::NewCallable(Callable callable) {
  Value value = Value::Of(Kind::kCallable);
  value.callable = Make<Callable>(std::move(callable));
  return value;
}

}  // namespace tenfold::jinja
