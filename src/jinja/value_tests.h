// The tests of the language: `value is name(arguments)`.
#pragma once

#include <string_view>
#include <vector>

#include "jinja/callable.h"

namespace tenfold::jinja {

struct ValueTest {
  std::string_view name;
  bool (*holds)(Run& run, const Value& value, const std::vector<Value>& arguments);
  std::string_view parameters = "";
};

// The test called `name`, or null. Any thread.
const ValueTest* FindTest(std::string_view name);
bool ApplyTest(Run& run, const ValueTest& test, const Value& value, const CallArguments& arguments);

}  // namespace tenfold::jinja
