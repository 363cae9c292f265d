// The 12 bytes in which Q4_K (and Q5_K) pack eight 6-bit scales and eight 6-bit mins.
//
// s[0..3] hold scales 0-3 and s[4..7] mins 0-3 in their low 6 bits; the top 2 bits of those bytes are the high bits of
// scales and mins 4-7, whose low 4 bits share s[8..11] (scale in the low nibble, min in the high one).
#pragma once

#include <cstdint>

namespace tenfold::tensor {

struct KScale {
  uint8_t scale;  // 0..63
  uint8_t min;    // 0..63
};

// s: (12) bytes; j: 0..7. Pure, any thread.
inline KScale UnpackKScale(const uint8_t* s, int j) {
  if (j < 4) return {static_cast<uint8_t>(s[j] & 63), static_cast<uint8_t>(s[j + 4] & 63)};
  return {static_cast<uint8_t>((s[j + 4] & 15) | ((s[j - 4] >> 6) << 4)),
          static_cast<uint8_t>((s[j + 4] >> 4) | ((s[j] >> 6) << 4))};
}

// The inverse for all eight. in: (8), each value <= 63; s: (12) bytes, overwritten. Pure, any thread.
inline void PackKScales(const KScale* in, uint8_t* s) {
  for (int j = 0; j < 4; ++j) {
    s[j] = static_cast<uint8_t>(in[j].scale | ((in[j + 4].scale >> 4) << 6));
    s[j + 4] = static_cast<uint8_t>(in[j].min | ((in[j + 4].min >> 4) << 6));
    s[j + 8] = static_cast<uint8_t>((in[j + 4].scale & 15) | ((in[j + 4].min & 15) << 4));
  }
}

}  // namespace tenfold::tensor
