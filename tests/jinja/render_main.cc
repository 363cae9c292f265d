// Renders templates for the differential test: one JSON line {"template", "context", "now"} in, one JSON line
// {"text", "data"} or {"error", "raised"} out. All variables of the context count as data.
#include <boost/json.hpp>
#include <iostream>
#include <string>

#include "jinja/template.h"

namespace {
namespace json = boost::json;
using tenfold::jinja::RenderResult;
using tenfold::jinja::Template;
using tenfold::jinja::Variable;

json::object Answer(const json::object& question) {
  const auto text = [](const json::value& v) { return std::string(v.as_string().data(), v.as_string().size()); };
  const auto parsed = Template::Parse(text(question.at("template")));
  if (!parsed.ok()) return {{"error", parsed.error().message}, {"raised", false}};
  std::vector<Variable> variables;
  for (const auto& [name, value] : question.at("context").as_object()) {
    variables.push_back({.name = std::string(name.data(), name.size()), .json = json::serialize(value)});
  }
  const RenderResult result = parsed.value().Render(variables, question.at("now").to_number<int64_t>());
  if (!result.ok) return {{"error", result.error.message}, {"raised", result.error.raised}};
  json::array data;
  for (const auto& range : result.text.data()) data.push_back(json::array{range.begin, range.end});
  return {{"text", result.text.bytes()}, {"data", std::move(data)}};
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << json::serialize(Answer(json::parse(line).as_object())) << "\n" << std::flush;
  }
  return 0;
}
