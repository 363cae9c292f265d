// One JSON object read field by field: what is missing, of another type, out of range or left over is an error that
// names the field. Reading goes on after an error, so that a caller checks once, at the end.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tenfold::results {

class JsonFields {
 public:
  explicit JsonFields(const boost::json::object& object) : object_(object) {}

  // Needed fields; after an error the value is a neutral one.
  std::string Text(std::string_view name);
  int64_t Count(std::string_view name);  // an integer, 0 or more
  double Amount(std::string_view name);  // a finite number, 0 or more
  bool Flag(std::string_view name);      // true or false
  std::vector<double> Amounts(std::string_view name);
  boost::json::object Object(std::string_view name);
  // null or a finite number, 0 or more.
  std::optional<double> MaybeAmount(std::string_view name);
  // To be called for what is in the object but no field of its own ("kind").
  void Ignore(std::string_view name) { seen_.emplace(name); }

  // What was wrong first; with everything read, also a field nobody asked for.
  Status Done();

 private:
  const boost::json::value* Find(std::string_view name, std::string_view wanted);
  void Fail(std::string_view name, std::string_view wanted);
  bool ToAmount(const boost::json::value& value, double* amount);

  const boost::json::object& object_;
  std::set<std::string, std::less<>> seen_;
  std::string error_;
};

}  // namespace tenfold::results
