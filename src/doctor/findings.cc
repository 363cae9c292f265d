#include "doctor/findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

namespace tenfold::doctor {

std::string_view NameOf(Level level) {
  constexpr std::string_view kNames[] = {"OK", "WARN", "FAIL"};
  return kNames[static_cast<size_t>(level)];
}

std::string SizeText(uint64_t bytes) {
  const auto b = static_cast<double>(bytes);
  if (bytes >= (uint64_t{1} << 30)) return fmt::format("{:.2f} GiB", b / (1 << 30));
  if (bytes >= (uint64_t{1} << 20)) return fmt::format("{:.1f} MiB", b / (1 << 20));
  return fmt::format("{:.0f} KiB", b / 1024);
}

std::vector<Finding> Examine(const Facts& facts) {
  std::vector<Finding> out;
  ExamineMachine(facts, out);
  ExamineModel(facts, out);
  if (facts.port_error.empty()) {
    out.push_back({"port", Level::kOk, facts.address + " is free", {}});
  } else {
    out.push_back(
        {"port", Level::kFail, facts.port_error, {"see who has it: ss -ltnp (as root); another one: serve --port N"}});
  }
  return out;
}

Level WorstOf(const std::vector<Finding>& findings) {
  Level worst = Level::kOk;
  for (const Finding& finding : findings) worst = std::max(worst, finding.level);
  return worst;
}

std::string ToText(const std::vector<Finding>& findings) {
  std::string out;
  size_t counts[3] = {};
  for (const Finding& finding : findings) {
    ++counts[static_cast<size_t>(finding.level)];
    out += fmt::format("{:<4}  {:<13} {}\n", NameOf(finding.level), finding.name, finding.says);
    for (const std::string& line : finding.advice) out += fmt::format("{:>20}-> {}\n", "", line);
  }
  return out + fmt::format("{} fine, {} warning{}, {} failure{}\n", counts[0], counts[1], counts[1] == 1 ? "" : "s",
                           counts[2], counts[2] == 1 ? "" : "s");
}

std::string ToJson(const std::vector<Finding>& findings) {
  boost::json::array list;
  for (const Finding& finding : findings) {
    list.push_back({{"name", finding.name},
                    {"level", NameOf(finding.level)},
                    {"says", finding.says},
                    {"advice", boost::json::array(finding.advice.begin(), finding.advice.end())}});
  }
  return boost::json::serialize(boost::json::object{{"level", NameOf(WorstOf(findings))}, {"findings", list}}) + "\n";
}

}  // namespace tenfold::doctor
