// What the facts mean for a server on this machine, and what to do about each: `tenfold doctor`.
//
// What it does: one finding for each thing that was looked at, fine ones too, in a fixed order. What it does not:
// look (platform/, apps/doctor.cc), print, or change anything.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "doctor/facts.h"

namespace tenfold::doctor {

enum class Level {
  kOk = 0,
  kWarn = 1,  // it serves, but slower or for fewer than it could, or it may be slowed down later
  kFail = 2,  // it does not serve, or not as asked
};
// "OK", "WARN", "FAIL".
std::string_view NameOf(Level level);

struct Finding {
  std::string name;  // "quota"
  Level level = Level::kOk;
  std::string says;
  std::vector<std::string> advice;  // what to do, one way a line; empty where nothing is to be done
};

// Pure.
std::vector<Finding> Examine(const Facts& facts);
// The worst of them; kOk of none.
Level WorstOf(const std::vector<Finding>& findings);

// Lines for a terminal; one JSON object and '\n'. Names from files are made harmless by whoever gathered them. Pure.
std::string ToText(const std::vector<Finding>& findings);
std::string ToJson(const std::vector<Finding>& findings);

// The parts of Examine (machine.cc, model.cc).
void ExamineMachine(const Facts& facts, std::vector<Finding>& out);
void ExamineModel(const Facts& facts, std::vector<Finding>& out);
// "12.3 GiB".
std::string SizeText(uint64_t bytes);

}  // namespace tenfold::doctor
