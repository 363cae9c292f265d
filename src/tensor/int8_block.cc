// One function a format, from its bytes to quants, scales and offsets; the formats with codebooks are next door.
#include "tensor/int8_block.h"

#include <bit>
#include <cstring>

#include "base/check.h"
#include "tensor/int8_block_codebooks.h"
#include "tensor/load_bytes.h"

namespace tenfold::tensor {
namespace {

// The 16 levels of IQ4_NL and IQ4_XS, and of MXFP4 (twice the values of a 4-bit float: 2 exponent bits, 1 mantissa).
constexpr int8_t kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
constexpr int8_t kFp4Levels[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

constexpr float kNone = -0.0f;  // the offset that changes no value, not even the sign of a zero

void SetAll(float scale, float offset, int steps, Int8Block* out) {
  out->unit = scale;
  for (int j = 0; j < steps; ++j) {
    out->factor[j] = 1;
    out->offset[j] = offset;
  }
}

// 16 bytes to 32 nibbles: element l in the low half of byte l, element l + 16 in its high half.
void Nibbles(const uint8_t* bytes, int8_t* q) {
  for (int l = 0; l < 16; ++l) {
    q[l] = static_cast<int8_t>(bytes[l] & 15);
    q[l + 16] = static_cast<int8_t>(bytes[l] >> 4);
  }
}

// The same with a fifth bit of element l in bit l of `high`.
void FiveBits(const uint8_t* bytes, uint32_t high, int8_t* q) {
  Nibbles(bytes, q);
  for (int l = 0; l < 32; ++l) q[l] = static_cast<int8_t>(q[l] | (((high >> l) & 1) << 4));
}

void Subtract(int amount, int n, int8_t* q) {
  for (int l = 0; l < n; ++l) q[l] = static_cast<int8_t>(q[l] - amount);
}

void Look(const int8_t (&levels)[16], int8_t* q) {
  for (int l = 0; l < 32; ++l) q[l] = levels[q[l]];
}

// block: d f16 | nibbles[16].
void FromQ4_0(const uint8_t* block, Int8Block* out) {
  Nibbles(block + 2, out->q);
  Subtract(8, 32, out->q);
  SetAll(LoadHalf(block), kNone, 2, out);
}

// block: d f16 | m f16 | nibbles[16].
void FromQ4_1(const uint8_t* block, Int8Block* out) {
  Nibbles(block + 4, out->q);
  SetAll(LoadHalf(block), LoadHalf(block + 2), 2, out);
}

// block: d f16 | fifth bits u32 | nibbles[16].
void FromQ5_0(const uint8_t* block, Int8Block* out) {
  FiveBits(block + 6, LoadAs<uint32_t>(block + 2), out->q);
  Subtract(16, 32, out->q);
  SetAll(LoadHalf(block), kNone, 2, out);
}

// block: d f16 | m f16 | fifth bits u32 | nibbles[16].
void FromQ5_1(const uint8_t* block, Int8Block* out) {
  FiveBits(block + 8, LoadAs<uint32_t>(block + 4), out->q);
  SetAll(LoadHalf(block), LoadHalf(block + 2), 2, out);
}

// block: d f16 | nibbles[16], looked up.
void FromIq4Nl(const uint8_t* block, Int8Block* out) {
  Nibbles(block + 2, out->q);
  Look(kIq4Levels, out->q);
  SetAll(LoadHalf(block), kNone, 2, out);
}

// block: exponent e of 2^(e - 127) | nibbles[16], looked up. The levels are twice the values, so the scale is half.
void FromMxfp4(const uint8_t* block, Int8Block* out) {
  Nibbles(block + 1, out->q);
  Look(kFp4Levels, out->q);
  const uint32_t e = block[0];
  const uint32_t bits = e >= 2 ? (e - 1) << 23 : 0x00200000u << e;  // the last two are subnormal
  SetAll(std::bit_cast<float>(bits), kNone, 2, out);
}

// block: d f16 | high scale bits u16 | low scale nibbles[4] | nibbles[8][16], looked up. Scales minus 32, a 32
// elements.
void FromIq4Xs(const uint8_t* block, Int8Block* out) {
  out->unit = LoadHalf(block);
  const int high = LoadAs<uint16_t>(block + 2);
  for (int j = 0; j < 8; ++j) {
    const int low = (block[4 + j / 2] >> (4 * (j & 1))) & 15;
    const int scale = (low | (((high >> (2 * j)) & 3) << 4)) - 32;
    Nibbles(block + 8 + 16 * j, out->q + 32 * j);
    Look(kIq4Levels, out->q + 32 * j);
    out->factor[2 * j] = out->factor[2 * j + 1] = static_cast<int8_t>(scale);
    out->offset[2 * j] = out->offset[2 * j + 1] = kNone;
  }
}

// Element e of 2-bit quants: bit pair e % 128 / 32 of byte e % 32, 32 bytes for each 128 elements.
int TwoBits(const uint8_t* qs, int e) { return (qs[32 * (e / 128) + e % 32] >> (2 * (e % 128 / 32))) & 3; }

// block: scale | min << 4, [16] | 2-bit quants[64] | d f16 | dmin f16.
void FromQ2K(const uint8_t* block, Int8Block* out) {
  out->unit = LoadHalf(block + 80);
  const float dmin = LoadHalf(block + 82);
  for (int j = 0; j < 16; ++j) {
    out->factor[j] = static_cast<int8_t>(block[j] & 15);
    out->offset[j] = -(dmin * static_cast<float>(block[j] >> 4));
  }
  for (int e = 0; e < 256; ++e) out->q[e] = static_cast<int8_t>(TwoBits(block + 16, e));
}

// block: third bits[32] | 2-bit quants[64] | scales[12] | d f16. Scales have 6 bits and 32 subtracted: the low nibbles
// of scales j and j + 8 share byte j, the high bit pairs of j, j + 4, j + 8 and j + 12 share byte 8 + j. A third bit
// that is clear subtracts 4.
void FromQ3K(const uint8_t* block, Int8Block* out) {
  out->unit = LoadHalf(block + 108);
  const uint8_t* scales = block + 96;
  for (int j = 0; j < 16; ++j) {
    const int low = (scales[j % 8] >> (4 * (j / 8))) & 15;
    const int high = (scales[8 + j % 4] >> (2 * (j / 4))) & 3;
    out->factor[j] = static_cast<int8_t>((low | (high << 4)) - 32);
    out->offset[j] = kNone;
  }
  for (int e = 0; e < 256; ++e) {
    const int third = (block[e % 32] >> (e / 32)) & 1;
    out->q[e] = static_cast<int8_t>(TwoBits(block + 32, e) - 4 * (1 - third));
  }
}

// Digit `digit` of the base-3 fraction byte / 256, minus 1.
int8_t Trit(uint8_t byte, int digit) {
  constexpr int kPowers[5] = {1, 3, 9, 27, 81};
  return static_cast<int8_t>(((static_cast<uint8_t>(byte * kPowers[digit]) * 3) >> 8) - 1);
}

// block: 48 bytes of five base-3 digits, 4 of four | d f16. A digit of 32 bytes is 32 consecutive elements, then of 16
// bytes 16 elements, then of 4 bytes 4.
void FromTq1(const uint8_t* block, Int8Block* out) {
  int8_t* q = out->q;
  const auto take = [&](const uint8_t* bytes, int n, int digits) {
    for (int digit = 0; digit < digits; ++digit) {
      for (int l = 0; l < n; ++l) *q++ = Trit(bytes[l], digit);
    }
  };
  take(block, 32, 5);
  take(block + 32, 16, 5);
  take(block + 48, 4, 4);
  SetAll(LoadHalf(block + 52), kNone, 16, out);
}

// block: 2-bit quants[64] | d f16.
void FromTq2(const uint8_t* block, Int8Block* out) {
  for (int e = 0; e < 256; ++e) out->q[e] = static_cast<int8_t>(TwoBits(block, e) - 1);
  SetAll(LoadHalf(block + 64), kNone, 16, out);
}

using Convert = void (*)(const uint8_t* block, Int8Block* out);

Convert ConverterOf(DType type) {
  switch (type) {
    case DType::kQ4_0:
      return FromQ4_0;
    case DType::kQ4_1:
      return FromQ4_1;
    case DType::kQ5_0:
      return FromQ5_0;
    case DType::kQ5_1:
      return FromQ5_1;
    case DType::kQ2_K:
      return FromQ2K;
    case DType::kQ3_K:
      return FromQ3K;
    case DType::kIQ4_NL:
      return FromIq4Nl;
    case DType::kIQ4_XS:
      return FromIq4Xs;
    case DType::kMXFP4:
      return FromMxfp4;
    case DType::kTQ1_0:
      return FromTq1;
    case DType::kTQ2_0:
      return FromTq2;
    default:
      return nullptr;
  }
}

}  // namespace

bool HasInt8Form(DType type) { return IsCodebookType(type) || ConverterOf(type) != nullptr; }

void ToInt8Block(DType type, const uint8_t* block, Int8Block* out) {
  if (IsCodebookType(type)) return CodebookToInt8(type, block, out);
  const Convert convert = ConverterOf(type);
  TENFOLD_CHECK(convert != nullptr, "a type without an int8 form");
  convert(block, out);
}

}  // namespace tenfold::tensor
