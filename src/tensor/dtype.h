// The number formats a GGUF tensor can have, with block geometry. Values are the file format's own type ids.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tenfold::tensor {

enum class DType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ8_1 = 9,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kQ8_K = 15,
  kIQ2_XXS = 16,
  kIQ2_XS = 17,
  kIQ3_XXS = 18,
  kIQ1_S = 19,
  kIQ4_NL = 20,
  kIQ3_S = 21,
  kIQ2_S = 22,
  kIQ4_XS = 23,
  kI8 = 24,
  kI16 = 25,
  kI32 = 26,
  kI64 = 27,
  kF64 = 28,
  kIQ1_M = 29,
  kBF16 = 30,
  kTQ1_0 = 34,
  kTQ2_0 = 35,
  kMXFP4 = 39,
};

// Elements and bytes of one block; a row is a whole number of blocks.
struct DTypeTraits {
  std::string_view name;  // as the field writes it: "Q4_K"
  uint32_t block_elems;
  uint32_t block_bytes;
};

// Traits of a type id read from a file; nothing for an id we do not know.
std::optional<DTypeTraits> TraitsOf(uint32_t type_id);
// Traits of a known type.
DTypeTraits TraitsOf(DType type);
inline std::string_view NameOf(DType type) { return TraitsOf(type).name; }
// Whether tenfold can compute with weights of this type: all but Q8_1 and Q8_K (never stored weights), integers, F64.
bool IsComputable(DType type);
// The computable types of the format in one sentence part, "F32, F16, Q4_0, ... and MXFP4", for errors.
std::string ComputableTypeNames();
// Bytes of a row of `elems` elements; elems must be a multiple of block_elems.
size_t RowBytes(DType type, size_t elems);

}  // namespace tenfold::tensor
