// How many users a machine carries, how many cores or which answer length would be needed: a stated model with its
// error.
//
// Model: the mean response of n users is a + b n (work that is shared plus work of each), fitted by least squares to
// what was measured; cores divide the time (memory must keep up, which is why a machine of other memory must be
// measured); the time after the first token grows with the tokens. Its error is the largest miss among the points it
// was fitted to, which takes three of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gate/rules.h"
#include "results/figures.h"

namespace tenfold::gate {

struct Capacity {
  double fixed_s = 0;     // a
  double per_user_s = 0;  // b
  // Numbers of users of whom so few were answered (Rules::least_success) that the answers' time says nothing: a server
  // that answers one of ten at once is not fast.
  std::vector<int64_t> left_out;
  bool contradicted = false;            // Rules::users are left out, though by the model they fit: cores would not help
  size_t points = 0;                    // numbers of users it was fitted to; 1: proportional, a = 0
  std::optional<double> error;          // as a part of the time; none with fewer than three points
  double predicted_s = 0;               // of Rules::users
  std::optional<int64_t> users;         // whose mean fits the target; none: it does not grow with users
  int64_t cores = 0;                    // of the machine; 0: not known
  std::optional<int64_t> cores_needed;  // for Rules::users
  std::optional<double> reference_s;    // what Rules::users would wait on Rules::reference_cores
  std::optional<double> tokens;         // of an answer, measured on the average
  std::optional<int64_t> tokens_fit;    // answer length that fits for Rules::users; 0: not even the first token
};

// groups: of one server, with FiguresOf the timeout. cores: of the machine, 0 if unknown. None without an answered
// group.
std::optional<Capacity> CapacityOf(const std::vector<results::Group>& groups, double timeout_s, int64_t cores,
                                   const Rules& rules);

// Sentences.
std::vector<std::string> TextOf(const Capacity& capacity, const Rules& rules);

}  // namespace tenfold::gate
