// Little-endian numbers out of unaligned bytes.
#pragma once

#include <cstdint>
#include <cstring>

#include "tensor/fp16.h"

namespace tenfold::tensor {

template <class T>
T LoadAs(const uint8_t* src) {
  T value;
  std::memcpy(&value, src, sizeof value);
  return value;
}
inline float LoadHalf(const uint8_t* src) { return HalfToFloat(LoadAs<uint16_t>(src)); }

}  // namespace tenfold::tensor
