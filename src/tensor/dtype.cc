// The one table of block geometries. Sizes are derived from the fields of each block, as the comments show.
#include "tensor/dtype.h"

#include <iterator>

#include "base/check.h"

namespace tenfold::tensor {
namespace {

struct Entry {
  DType type;
  DTypeTraits traits;
};

constexpr Entry kTable[] = {
    {DType::kF32, {"F32", 1, 4}},
    {DType::kF16, {"F16", 1, 2}},
    {DType::kQ4_0, {"Q4_0", 32, 2 + 16}},             // d, nibbles
    {DType::kQ4_1, {"Q4_1", 32, 2 + 2 + 16}},         // d, m, nibbles
    {DType::kQ5_0, {"Q5_0", 32, 2 + 4 + 16}},         // d, fifth bits, nibbles
    {DType::kQ5_1, {"Q5_1", 32, 2 + 2 + 4 + 16}},     // d, m, fifth bits, nibbles
    {DType::kQ8_0, {"Q8_0", 32, 2 + 32}},             // d, bytes
    {DType::kQ8_1, {"Q8_1", 32, 2 + 2 + 32}},         // d, sum, bytes
    {DType::kQ2_K, {"Q2_K", 256, 16 + 64 + 2 + 2}},   // scales and mins, 2-bit quants, d, dmin
    {DType::kQ3_K, {"Q3_K", 256, 32 + 64 + 12 + 2}},  // third bits, 2-bit quants, scales, d
    {DType::kQ4_K, {"Q4_K", 256, 2 + 2 + 12 + 128}},  // d, dmin, scales and mins, nibbles
    {DType::kQ5_K, {"Q5_K", 256, 2 + 2 + 12 + 32 + 128}},
    {DType::kQ6_K, {"Q6_K", 256, 128 + 64 + 16 + 2}},  // low nibbles, high 2 bits, scales, d
    {DType::kQ8_K, {"Q8_K", 256, 4 + 256 + 32}},       // d, bytes, sums
    {DType::kIQ2_XXS, {"IQ2_XXS", 256, 2 + 64}},
    {DType::kIQ2_XS, {"IQ2_XS", 256, 2 + 64 + 8}},
    {DType::kIQ3_XXS, {"IQ3_XXS", 256, 2 + 96}},
    {DType::kIQ1_S, {"IQ1_S", 256, 2 + 32 + 16}},
    {DType::kIQ4_NL, {"IQ4_NL", 32, 2 + 16}},
    {DType::kIQ3_S, {"IQ3_S", 256, 2 + 64 + 8 + 32 + 4}},
    {DType::kIQ2_S, {"IQ2_S", 256, 2 + 64 + 8 + 8}},
    {DType::kIQ4_XS, {"IQ4_XS", 256, 2 + 2 + 4 + 128}},
    {DType::kI8, {"I8", 1, 1}},
    {DType::kI16, {"I16", 1, 2}},
    {DType::kI32, {"I32", 1, 4}},
    {DType::kI64, {"I64", 1, 8}},
    {DType::kF64, {"F64", 1, 8}},
    {DType::kIQ1_M, {"IQ1_M", 256, 32 + 16 + 8}},
    {DType::kBF16, {"BF16", 1, 2}},
    {DType::kTQ1_0, {"TQ1_0", 256, 48 + 4 + 2}},
    {DType::kTQ2_0, {"TQ2_0", 256, 64 + 2}},
    {DType::kMXFP4, {"MXFP4", 32, 1 + 16}},  // shared exponent, nibbles
};

}  // namespace

std::optional<DTypeTraits> TraitsOf(uint32_t type_id) {
  for (const Entry& entry : kTable) {
    if (static_cast<uint32_t>(entry.type) == type_id) return entry.traits;
  }
  return std::nullopt;
}

DTypeTraits TraitsOf(DType type) {
  const std::optional<DTypeTraits> traits = TraitsOf(static_cast<uint32_t>(type));
  TENFOLD_CHECK(traits.has_value(), "a DType outside the enumeration");
  return *traits;
}

bool IsComputable(DType type) {
  switch (type) {
    case DType::kQ8_1:
    case DType::kQ8_K:
    case DType::kI8:
    case DType::kI16:
    case DType::kI32:
    case DType::kI64:
    case DType::kF64:
      return false;
    default:
      return TraitsOf(static_cast<uint32_t>(type)).has_value();
  }
}

std::string ComputableTypeNames() {
  std::string names;
  for (size_t i = 0; i < std::size(kTable); ++i) {
    if (!IsComputable(kTable[i].type)) continue;
    if (!names.empty()) names += i + 1 == std::size(kTable) ? " and " : ", ";
    names += kTable[i].traits.name;
  }
  return names;
}

size_t RowBytes(DType type, size_t elems) {
  const DTypeTraits traits = TraitsOf(type);
  TENFOLD_CHECK(elems % traits.block_elems == 0, "a row must be a whole number of blocks");
  return elems / traits.block_elems * traits.block_bytes;
}

}  // namespace tenfold::tensor
