// Randomness as a function: the n-th number of a seed, without any state to keep, save or share.
#pragma once

#include <cstdint>

namespace tenfold::sampling {

// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every output bit depends on every input bit.
inline uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

// The n-th number of `seed`, uniform in [0, 1), 53 random bits. The seed is mixed first, so that neighbouring seeds do
// not give shifted copies of one stream. Any thread.
inline double Uniform(uint64_t seed, uint64_t n) {
  constexpr uint64_t kGolden = 0x9E3779B97F4A7C15ULL;
  return static_cast<double>(Mix(Mix(seed + kGolden) + (n + 1) * kGolden) >> 11) * 0x1p-53;
}

}  // namespace tenfold::sampling
