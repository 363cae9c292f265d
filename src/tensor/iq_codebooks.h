// The vectors that the IQ formats choose from: each index of a file stands for 8 (IQ1, IQ2) or 4 (IQ3) magnitudes.
//
// An entry holds level numbers, the first element lowest: 2 bits each in vectors of 8, 4 bits each in vectors of 4.
#pragma once

#include <cstdint>

namespace tenfold::tensor {

// Levels 8, 25, 43.
extern const uint16_t kIq2Xxs[256];
extern const uint16_t kIq2Xs[512];
extern const uint16_t kIq2S[1024];
// Levels 4, 12, 20, 28, 36, 44, 52, 62.
extern const uint16_t kIq3Xxs[256];
// Levels 1, 3, 5, 7, 9, 11, 13, 15.
extern const uint16_t kIq3S[512];
// Levels -1, 0, 1.
extern const uint16_t kIq1[2048];

}  // namespace tenfold::tensor
