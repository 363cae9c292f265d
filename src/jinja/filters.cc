#include "jinja/filters.h"

#include <fmt/format.h>

#include "jinja/evaluator.h"

namespace tenfold::jinja {

const Filter* FindFilter(std::string_view name) {
  for (const std::vector<Filter>* part : {&TextFilters(), &NumberFilters(), &SequenceFilters(), &SelectFilters()}) {
    for (const Filter& filter : *part) {
      if (filter.name == name) return &filter;
    }
  }
  return nullptr;
}

Value ApplyFilter(Evaluator& evaluator, const Filter& filter, const Value& subject, const CallArguments& arguments) {
  Run& run = evaluator.run();
  if (!run.Charge(1)) return {};
  std::vector<Value> bound;
  if (filter.parameters != "*" &&
      !arguments.Bind(run, fmt::format("filter '{}'", filter.name), filter.parameters, filter.required, &bound)) {
    return {};
  }
  return filter.apply({evaluator, run, subject, bound, arguments});
}

}  // namespace tenfold::jinja
