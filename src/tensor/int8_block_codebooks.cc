// IQ1, IQ2 and IQ3: indices into codebooks of magnitudes, signs beside them, a small scale for 16 or 32 elements.
#include "tensor/int8_block_codebooks.h"

#include <bit>

#include "base/check.h"
#include "tensor/iq_codebooks.h"
#include "tensor/load_bytes.h"

namespace tenfold::tensor {
namespace {

constexpr int8_t kLevels2[3] = {8, 25, 43};
constexpr int8_t kLevels3Xxs[8] = {2, 6, 10, 14, 18, 22, 26, 31};  // half of what the format says; its unit is doubled

// The eighth sign of a group is not stored: the number of minus signs is even.
uint32_t EvenSigns(uint32_t seven) { return seven | (static_cast<uint32_t>(std::popcount(seven) & 1) << 7); }

int8_t Signed(int magnitude, uint32_t signs, int i) {
  return static_cast<int8_t>((signs >> i) & 1 ? -magnitude : magnitude);
}

// Eight elements of an IQ2 format; bit i of `signs` makes element i negative.
void Group2(uint32_t entry, uint32_t signs, int8_t* q) {
  for (int i = 0; i < 8; ++i) q[i] = Signed(kLevels2[(entry >> (2 * i)) & 3], signs, i);
}

// Eight elements of an IQ3 format out of two entries. Level(k) is the magnitude of level k.
template <class Level>
void Group3(uint32_t first, uint32_t second, uint32_t signs, Level level, int8_t* q) {
  const uint32_t entries = first | (second << 16);
  for (int i = 0; i < 8; ++i) q[i] = Signed(level((entries >> (4 * i)) & 15), signs, i);
}

// Eight elements of an IQ1 format, in eighths: the level times 8, plus or minus 1.
void Group1(uint32_t entry, bool minus, int8_t* q) {
  for (int i = 0; i < 8; ++i) {
    const int level = static_cast<int>((entry >> (2 * i)) & 3) - 1;
    q[i] = static_cast<int8_t>(8 * level + (minus ? -1 : 1));
  }
}

void SetFactor(int j, uint32_t factor, Int8Block* out) {
  out->factor[j] = static_cast<int8_t>(factor);
  out->offset[j] = -0.0f;  // adds nothing, and keeps the sign of a zero
}

// The factor that a stored scale s means: the IQ formats multiply with s + 1/2, here in halves.
uint32_t Odd(uint32_t s) { return 2 * s + 1; }

// block: d f16 | for each 32 elements: indices[4], then u32 of four 7-bit signs and a 4-bit scale.
void FromIq2Xxs(const uint8_t* block, Int8Block* out) {
  out->unit = LoadHalf(block) / 8;
  for (int j = 0; j < 8; ++j) {
    const uint8_t* part = block + 2 + 8 * j;
    const auto word = LoadAs<uint32_t>(part + 4);
    for (int g = 0; g < 4; ++g) {
      Group2(kIq2Xxs[part[g]], EvenSigns((word >> (7 * g)) & 127), out->q + 32 * j + 8 * g);
    }
    for (int s = 0; s < 2; ++s) SetFactor(2 * j + s, Odd(word >> 28), out);
  }
}

// block: d f16 | u16[32]: index (9 bits) and 7 signs of 8 elements | scale nibbles[8].
void FromIq2Xs(const uint8_t* block, Int8Block* out) {
  out->unit = LoadHalf(block) / 8;
  for (int g = 0; g < 32; ++g) {
    const uint32_t code = LoadAs<uint16_t>(block + 2 + 2 * g);
    Group2(kIq2Xs[code & 511], EvenSigns(code >> 9), out->q + 8 * g);
  }
  for (int j = 0; j < 16; ++j) SetFactor(j, Odd((block[66 + j / 2] >> (4 * (j & 1))) & 15), out);
}

// block: d f16 | indices[32] | signs[32] | high index bits, 2 each, [8] | scale nibbles[8].
void FromIq2S(const uint8_t* block, Int8Block* out) {
  out->unit = LoadHalf(block) / 8;
  for (int g = 0; g < 32; ++g) {
    const uint32_t high = (block[66 + g / 4] >> (2 * (g % 4))) & 3;
    Group2(kIq2S[block[2 + g] | (high << 8)], block[34 + g], out->q + 8 * g);
  }
  for (int j = 0; j < 16; ++j) SetFactor(j, Odd((block[74 + j / 2] >> (4 * (j & 1))) & 15), out);
}

// block: d f16 | indices[64] | for each 32 elements u32 of four 7-bit signs and a 4-bit scale.
void FromIq3Xxs(const uint8_t* block, Int8Block* out) {
  out->unit = LoadHalf(block) / 2;
  const auto level = [](uint32_t k) { return kLevels3Xxs[k & 7]; };
  for (int j = 0; j < 8; ++j) {
    const auto word = LoadAs<uint32_t>(block + 66 + 4 * j);
    for (int g = 0; g < 4; ++g) {
      const uint8_t* index = block + 2 + 8 * j + 2 * g;
      Group3(kIq3Xxs[index[0]], kIq3Xxs[index[1]], EvenSigns((word >> (7 * g)) & 127), level, out->q + 32 * j + 8 * g);
    }
    for (int s = 0; s < 2; ++s) SetFactor(2 * j + s, Odd(word >> 28), out);
  }
}

// block: d f16 | indices[64] | high index bits[8] | signs[32] | scale nibbles[4], one for 32 elements.
void FromIq3S(const uint8_t* block, Int8Block* out) {
  out->unit = LoadHalf(block);
  const auto level = [](uint32_t k) { return static_cast<int>(2 * k + 1); };
  for (int g = 0; g < 32; ++g) {
    const uint32_t high = static_cast<uint32_t>(block[66 + g / 4]) >> (2 * (g % 4));
    const uint32_t first = block[2 + 2 * g] | ((high & 1) << 8);
    const uint32_t second = block[3 + 2 * g] | ((high & 2) << 7);
    Group3(kIq3S[first], kIq3S[second], block[74 + g], level, out->q + 8 * g);
  }
  for (int j = 0; j < 16; ++j) {
    SetFactor(j, Odd((block[106 + j / 4] >> (4 * (j / 2 % 2))) & 15), out);
  }
}

// block: d f16 | indices[32] | u16[8], for each 32 elements: four 3-bit index heads, a 3-bit scale, the shift's sign.
void FromIq1S(const uint8_t* block, Int8Block* out) {
  out->unit = LoadHalf(block) / 8;
  for (int j = 0; j < 8; ++j) {
    const uint32_t head = LoadAs<uint16_t>(block + 34 + 2 * j);
    for (int g = 0; g < 4; ++g) {
      const uint32_t index = block[2 + 4 * j + g] | (((head >> (3 * g)) & 7) << 8);
      Group1(kIq1[index], (head & 0x8000) != 0, out->q + 32 * j + 8 * g);
    }
    for (int s = 0; s < 2; ++s) SetFactor(2 * j + s, Odd((head >> 12) & 7), out);
  }
}

// block: indices[32] | nibbles[16]: a 3-bit index head and the shift's sign of 8 elements | u16[4]: four 3-bit scales
// of 16 elements each, and in the top nibbles, lowest first, the four parts of d f16.
void FromIq1M(const uint8_t* block, Int8Block* out) {
  uint32_t half = 0;
  for (int i = 0; i < 4; ++i) half |= static_cast<uint32_t>(LoadAs<uint16_t>(block + 48 + 2 * i) >> 12) << (4 * i);
  out->unit = HalfToFloat(static_cast<uint16_t>(half)) / 8;
  for (int g = 0; g < 32; ++g) {
    const uint32_t head = (block[32 + g / 2] >> (4 * (g % 2))) & 15;
    Group1(kIq1[block[g] | ((head & 7) << 8)], (head & 8) != 0, out->q + 8 * g);
  }
  for (int j = 0; j < 16; ++j) {
    SetFactor(j, Odd((LoadAs<uint16_t>(block + 48 + 2 * (j / 4)) >> (3 * (j % 4))) & 7), out);
  }
}

}  // namespace

bool IsCodebookType(DType type) {
  return type == DType::kIQ2_XXS || type == DType::kIQ2_XS || type == DType::kIQ2_S || type == DType::kIQ3_XXS ||
         type == DType::kIQ3_S || type == DType::kIQ1_S || type == DType::kIQ1_M;
}

void CodebookToInt8(DType type, const uint8_t* block, Int8Block* out) {
  switch (type) {
    case DType::kIQ2_XXS:
      return FromIq2Xxs(block, out);
    case DType::kIQ2_XS:
      return FromIq2Xs(block, out);
    case DType::kIQ2_S:
      return FromIq2S(block, out);
    case DType::kIQ3_XXS:
      return FromIq3Xxs(block, out);
    case DType::kIQ3_S:
      return FromIq3S(block, out);
    case DType::kIQ1_S:
      return FromIq1S(block, out);
    case DType::kIQ1_M:
      return FromIq1M(block, out);
    default:
      TENFOLD_CHECK(false, "a type without a codebook");
  }
}

}  // namespace tenfold::tensor
