#include "results/json_fields.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cmath>

namespace tenfold::results {

namespace json = boost::json;

void JsonFields::Fail(std::string_view name, std::string_view wanted) {
  if (error_.empty()) error_ = fmt::format("\"{}\" must be {}", name, wanted);
}

const json::value* JsonFields::Find(std::string_view name, std::string_view wanted) {
  seen_.emplace(name);
  const json::value* value = object_.if_contains(name);
  if (value == nullptr && error_.empty()) error_ = fmt::format("\"{}\" is missing; it must be {}", name, wanted);
  return value;
}

std::string JsonFields::Text(std::string_view name) {
  const json::value* value = Find(name, "a text");
  if (value == nullptr) return "";
  if (value->is_string()) return std::string(value->get_string());
  Fail(name, "a text");
  return "";
}

int64_t JsonFields::Count(std::string_view name) {
  constexpr std::string_view kWanted = "a whole number, 0 or more";
  const json::value* value = Find(name, kWanted);
  if (value == nullptr) return 0;
  boost::system::error_code error;
  const int64_t count = value->is_number() ? value->to_number<int64_t>(error) : -1;
  if (!error && count >= 0) return count;
  Fail(name, kWanted);
  return 0;
}

bool JsonFields::ToAmount(const json::value& value, double* amount) {
  if (!value.is_number()) return false;
  boost::system::error_code error;
  *amount = value.to_number<double>(error);
  return !error && std::isfinite(*amount) && *amount >= 0;
}

double JsonFields::Amount(std::string_view name) {
  constexpr std::string_view kWanted = "a number, 0 or more";
  const json::value* value = Find(name, kWanted);
  double amount = 0;
  if (value == nullptr || ToAmount(*value, &amount)) return amount;
  Fail(name, kWanted);
  return 0;
}

std::optional<double> JsonFields::MaybeAmount(std::string_view name) {
  constexpr std::string_view kWanted = "null or a number, 0 or more";
  const json::value* value = Find(name, kWanted);
  double amount = 0;
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (ToAmount(*value, &amount)) return amount;
  Fail(name, kWanted);
  return std::nullopt;
}

bool JsonFields::Flag(std::string_view name) {
  const json::value* value = Find(name, "true or false");
  if (value == nullptr) return false;
  if (value->is_bool()) return value->get_bool();
  Fail(name, "true or false");
  return false;
}

std::vector<double> JsonFields::Amounts(std::string_view name) {
  constexpr std::string_view kWanted = "a list of numbers, each 0 or more";
  const json::value* value = Find(name, kWanted);
  std::vector<double> amounts;
  if (value == nullptr) return amounts;
  if (!value->is_array()) {
    Fail(name, kWanted);
    return amounts;
  }
  for (const json::value& item : value->get_array()) {
    double amount = 0;
    if (!ToAmount(item, &amount)) Fail(name, kWanted);
    amounts.push_back(amount);
  }
  return amounts;
}

json::object JsonFields::Object(std::string_view name) {
  const json::value* value = Find(name, "an object");
  if (value == nullptr) return {};
  if (value->is_object()) return value->get_object();
  Fail(name, "an object");
  return {};
}

Status JsonFields::Done() {
  for (const auto& [key, value] : object_) {
    if (error_.empty() && !seen_.contains(std::string_view(key))) {
      error_ = fmt::format("\"{}\" is no field of this kind of line", std::string_view(key));
    }
  }
  if (!error_.empty()) return Error{ErrorCode::kCorrupt, error_};
  return {};
}

}  // namespace tenfold::results
