// What may be tuned: knobs, each with its variants, as plain data; and which of them make sense on one machine.
//
// A knob is one or more settings of `tenfold serve` that are turned together (keys' and values' type). Its first
// variant is always serve's default, and variants stand from the simplest to the least simple: where two are equally
// fast the earlier one is right. What is not tried is listed with the reason, so that a report can say so.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "platform/topology.h"
#include "tune/race.h"

namespace tenfold::tune {

// Setting key (config/table.h) -> value as text.
using Assignment = std::map<std::string, std::string>;

struct Variant {
  std::string text;     // "2", "compact", "q8_0"
  Assignment settings;  // all keys of the knob
};

struct Knob {
  std::string name;
  std::vector<Variant> variants;  // [0]: the default
  Bar bar;
  std::string price;  // what a variant beside the first costs besides time; "" for nothing
  // Part of the users' real work that a measurement must have at least to show this knob: of prompts cut to an eighth
  // every batch size plans the same steps.
  double least_scale = 0;
};

// Index of the variant of each knob.
using Candidate = std::vector<size_t>;

struct NotTried {
  std::string what;
  std::string why;
};

struct Space {
  std::vector<Knob> knobs;
  Candidate start;  // what the user runs today; all zeros without any setting
  std::vector<NotTried> not_tried;

  Candidate defaults() const { return Candidate(knobs.size(), 0); }
  Assignment SettingsOf(const Candidate& candidate) const;
  // "threads 1, kv_type q8_0": only what differs from the defaults; "the defaults" without any.
  std::string TextOf(const Candidate& candidate) const;
};

// What the space is made of.
struct SpaceInput {
  platform::Topology topology;
  double quota_cpus = 0;  // 0: none
  bool huge_pages_allowed = true;
  int64_t users = 10;
  int64_t prompt_tokens = 900;  // of all users together, about: no step can be longer
  Assignment defaults;          // of every tunable setting
  Assignment start;             // the same as the user has them
};

// Pure.
Space MakeSpace(const SpaceInput& input);

// The settings that are tuned, by key.
std::vector<std::string> TunedKeys();

}  // namespace tenfold::tune
