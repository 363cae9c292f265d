// Arithmetic on lengths that came from a file or a socket: every product and sum says when it overflowed.
#pragma once

#include <cstdint>
#include <optional>

namespace tenfold {

// a * b, or nothing when it does not fit 64 bits. Any thread.
inline std::optional<uint64_t> CheckedMul(uint64_t a, uint64_t b) {
  uint64_t out;
  if (__builtin_mul_overflow(a, b, &out)) return std::nullopt;
  return out;
}

// a + b, or nothing when it does not fit 64 bits. Any thread.
inline std::optional<uint64_t> CheckedAdd(uint64_t a, uint64_t b) {
  uint64_t out;
  if (__builtin_add_overflow(a, b, &out)) return std::nullopt;
  return out;
}

// The smallest multiple of `step` (> 0) that is >= value, or nothing on overflow. Any thread.
inline std::optional<uint64_t> CheckedRoundUp(uint64_t value, uint64_t step) {
  const uint64_t rest = value % step;
  return rest == 0 ? std::optional<uint64_t>(value) : CheckedAdd(value, step - rest);
}

}  // namespace tenfold
