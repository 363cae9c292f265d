// The filters of the language: `value|name(arguments)`.
//
// Four files hold them: filters_text.cc, filters_number.cc, filters_sequence.cc, filters_select.cc. A result that is
// cut from or joined of its inputs keeps their marks; one that is computed from bytes that hold data is all data.
#pragma once

#include <string_view>
#include <vector>

#include "jinja/callable.h"

namespace tenfold::jinja {

struct FilterCall {
  Evaluator& evaluator;
  Run& run;
  const Value& subject;
  const std::vector<Value>& arguments;  // bound to the filter's parameters; kMissing where not given
  const CallArguments& raw;             // as written, for filters that take any
};

struct Filter {
  std::string_view name;
  Value (*apply)(const FilterCall& call);
  std::string_view parameters = "";  // names separated by spaces; "*": anything, not bound
  size_t required = 0;
};

// The Sequence::name of what groupby gives: pairs whose parts are also called `grouper` and `list`.
inline constexpr std::string_view kGroupName = "group";

// The filter called `name`, or null. Any thread.
const Filter* FindFilter(std::string_view name);
// Checks and binds the arguments, then applies.
Value ApplyFilter(Evaluator& evaluator, const Filter& filter, const Value& subject, const CallArguments& arguments);

// The parts of the table.
const std::vector<Filter>& TextFilters();
const std::vector<Filter>& NumberFilters();
const std::vector<Filter>& SequenceFilters();
const std::vector<Filter>& SelectFilters();

}  // namespace tenfold::jinja
