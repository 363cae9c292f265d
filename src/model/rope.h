// How fast RoPE turns each pair of a head, and how models stretch it beyond the context they were first trained for.
//
// What it does: reads the rope.scaling keys of a GGUF file and turns them into one frequency a pair and one magnitude.
// Every scheme that GGUF files name so far (linear, YaRN, Llama 3's factors) is linear in the position, so a table of
// frequencies made once says it all. What it does not: LongRoPE, which has two tables and is refused by name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "gguf/file.h"

namespace tenfold::model {

// The keys <architecture>.rope.scaling.*, as llama.cpp means them.
struct RopeScaling {
  double factor = 1;             // positions are divided by this: what the context was stretched by; 1 without scaling
  double attn_factor = 1;        // more magnitude for queries and keys, on top of YaRN's own
  double ext_factor = 0;         // YaRN: share of the correction below; 0 leaves plain linear interpolation
  double beta_fast = 32;         // YaRN: pairs that turn this often within original_context are left as they are
  double beta_slow = 1;          // YaRN: pairs that turn less often than this are divided by factor
  int64_t original_context = 0;  // tokens, before stretching; 0 when the file does not say
};

// prefix: "llama." or another architecture's. Errors name the key: a scaling type that is not none, linear or yarn
// (kUnsupported), keys that contradict each other or are out of range (kCorrupt).
Result<RopeScaling> ReadRopeScaling(const gguf::File& file, const std::string& prefix);

// Pair i of a head at position p is turned by p * frequencies[i], and then made `magnitude` times as long.
struct RopeTable {
  std::vector<double> frequencies;  // (n_rot / 2), radians a token
  double magnitude = 1;
};

// n_rot: even; base: theta; train_context: what original_context falls back to; factors: (n_rot / 2) divisors of the
// plain frequencies (rope_freqs.weight, Llama 3.1 and later), or null. Pure.
RopeTable MakeRopeTable(const RopeScaling& scaling, int64_t n_rot, double base, int64_t train_context,
                        const float* factors);

}  // namespace tenfold::model
