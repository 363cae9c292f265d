// What keys and values are stored as. No function here: the files in the ISA folders see it.
#pragma once

#include <cstdint>

namespace tenfold::kernels {

// kF16: 2 bytes an element. kQ8_0: int8 with a scale for 32 dimensions (K) or for all of a head's (V): 8.5 and 8.25
// bits an element at head_dim 128.
enum class KvType : int32_t { kF16, kQ8_0 };

struct KvFormat {
  KvType k = KvType::kF16;
  KvType v = KvType::kF16;
};

}  // namespace tenfold::kernels
