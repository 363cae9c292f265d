// Scales rounded up as in quantize_fit.h; the levels of IQ4 are uneven, so there an element lands on the nearest one.
#include "tensor/quantize_32.h"

#include "tensor/quantize_fit.h"

namespace tenfold::tensor {
namespace {

constexpr int kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

// q: (32), 0..31; low nibbles of elements l and l + 16 to byte l, fifth bits to the u32 before them if there is one.
void StoreQuants(const int* q, uint8_t* fifth, uint8_t* nibbles) {
  uint32_t high = 0;
  for (int l = 0; l < 32; ++l) high |= static_cast<uint32_t>(q[l] >> 4) << l;
  if (fifth != nullptr) std::memcpy(fifth, &high, sizeof high);
  for (int l = 0; l < 16; ++l) nibbles[l] = static_cast<uint8_t>((q[l] & 15) | ((q[l + 16] & 15) << 4));
}

// Q4_0 and Q5_0: d * (q - middle).
template <int kMiddle>
void Symmetric(const float* src, uint8_t* block) {
  const uint16_t half = HalfAtLeast(AbsMax(src, 32) / (kMiddle - 1));
  int q[32];
  for (int i = 0; i < 32; ++i) q[i] = NearestQuant(src[i], HalfToFloat(half), 1 - kMiddle, kMiddle - 1) + kMiddle;
  StoreHalf(half, block);
  if (kMiddle == 16) return StoreQuants(q, block + 2, block + 6);
  StoreQuants(q, nullptr, block + 2);
}

// Q4_1 and Q5_1: d * q + m.
template <int kLimit>
void Affine(const float* src, uint8_t* block) {
  const uint16_t depth = HalfAtLeast(Depth(src, 32));
  const float m = -HalfToFloat(depth);
  const uint16_t half = HalfAtLeast(std::max(0.0f, *std::max_element(src, src + 32) - m) / kLimit);
  int q[32];
  for (int i = 0; i < 32; ++i) q[i] = NearestQuant(src[i] - m, HalfToFloat(half), 0, kLimit);
  StoreHalf(half, block);
  StoreHalf(FloatToHalf(m), block + 2);
  if (kLimit == 31) return StoreQuants(q, block + 4, block + 8);
  StoreQuants(q, nullptr, block + 4);
}

int NearestLevel(float x) {
  int best = 0;
  for (int k = 1; k < 16; ++k) {
    if (std::fabs(x - static_cast<float>(kIq4Levels[k])) < std::fabs(x - static_cast<float>(kIq4Levels[best])))
      best = k;
  }
  return best;
}

void ToLevels(const float* src, float step, uint8_t* nibbles) {
  int q[32];
  for (int i = 0; i < 32; ++i) q[i] = NearestLevel(step > 0 ? src[i] / step : 0.0f);
  StoreQuants(q, nullptr, nibbles);
}

void Iq4Nl(const float* src, uint8_t* block) {
  const uint16_t half = HalfAtLeast(AbsMax(src, 32) / 113);
  StoreHalf(half, block);
  ToLevels(src, HalfToFloat(half), block + 2);
}

void Iq4Xs(const float* src, uint8_t* block) {
  const uint16_t half = HalfAtLeast(AbsMax(src, 256) / 113 / 31);
  const float d = HalfToFloat(half);
  StoreHalf(half, block);
  std::memset(block + 2, 0, 6);
  for (int j = 0; j < 8; ++j) {
    const int scale = QuantAtLeast(AbsMax(src + 32 * j, 32) / 113, d, 31);
    const int stored = scale + 32;
    block[4 + j / 2] |= static_cast<uint8_t>((stored & 15) << (4 * (j & 1)));
    block[2 + j / 4] |= static_cast<uint8_t>((stored >> 4) << (2 * (j % 4)));
    ToLevels(src + 32 * j, d * static_cast<float>(scale), block + 8 + 16 * j);
  }
}

}  // namespace

BlockQuantizer QuantizerOf32(DType type) {
  switch (type) {
    case DType::kQ4_0:
      return Symmetric<8>;
    case DType::kQ4_1:
      return Affine<15>;
    case DType::kQ5_0:
      return Symmetric<16>;
    case DType::kQ5_1:
      return Affine<31>;
    case DType::kIQ4_NL:
      return Iq4Nl;
    case DType::kIQ4_XS:
      return Iq4Xs;
    default:
      return nullptr;
  }
}

}  // namespace tenfold::tensor
