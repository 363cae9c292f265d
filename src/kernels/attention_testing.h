// For tests of attention: a sequence's keys and values in pages, calls with guards around every output, and the exact
// softmax in double precision over what is stored, with how far arithmetic may stray from it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "kernels/attention.h"
#include "tensor/fp16.h"

namespace tenfold::kernels {

inline constexpr double kEpsilon = 0x1p-24;  // half a unit in the last place of a float
inline constexpr uint16_t kHalfNan = 0x7E55;
inline constexpr uint16_t kHalfInf = 0x7C00;

// A 64-byte aligned buffer with a guard behind it, every byte 0xFF (so floats are NaN) to begin with.
class Scratch {
 public:
  explicit Scratch(size_t bytes) : bytes_(bytes), memory_(bytes + 128, 0xFF) {}
  uint8_t* data() {
    const auto address = reinterpret_cast<uintptr_t>(memory_.data());
    return memory_.data() + (64 - address % 64) % 64;
  }
  bool GuardIntact() {
    return std::all_of(data() + bytes_, data() + bytes_ + 64, [](uint8_t b) { return b == 0xFF; });
  }

 private:
  size_t bytes_;
  std::vector<uint8_t> memory_;
};

inline constexpr KvFormat kHalves = {};
inline constexpr KvFormat kInt8 = {KvType::kQ8_0, KvType::kQ8_0};

// How keys and values are stored and multiplied.
struct Way {
  // NOLINTNEXTLINE(google-explicit-constructor): a format alone is multiplied in float
  Way(const KvFormat& f, AttendArithmetic a = AttendArithmetic::kFloat) : format(f), arithmetic(a) {}
  KvFormat format;
  AttendArithmetic arithmetic;
};

inline const Way kHalvesInInt16(kHalves, AttendArithmetic::kInt16);

// One sequence's keys and values in shuffled pages of a pool whose every unwritten half is a NaN.
class Sequence {
 public:
  Sequence(int64_t head_dim, int64_t length, unsigned seed, int64_t kv_heads = 1, const Way& way = kHalves)
      : head_dim_(head_dim),
        length_(length),
        kv_heads_(kv_heads),
        format_(way.format),
        arithmetic_(way.arithmetic),
        random_(seed) {
    const int64_t n_pages = (length + kPageTokens - 1) / kPageTokens;
    page_ids_.resize(n_pages + 3);
    std::iota(page_ids_.begin(), page_ids_.end(), 0);
    std::shuffle(page_ids_.begin(), page_ids_.end(), random_);
    page_ids_.resize(n_pages);
    head_stride_ = KvPageBytes(head_dim, format_) + 128;
    stride_ = static_cast<size_t>(kv_heads) * head_stride_ + 64;
    pool_.assign((n_pages + 3) * stride_ / 2, kHalfNan);
    for (int64_t p = 0; p < length * kv_heads; ++p) {
      k_.push_back(Gaussian(head_dim, 1.0f));
      v_.push_back(Gaussian(head_dim, 1.0f));
      WriteKv(Isa::kScalar, pages(p % kv_heads), p / kv_heads, head_dim, k_.back().data(), v_.back().data());
    }
  }
  KvPages pages(int64_t kv_head = 0) {
    uint8_t* const base = reinterpret_cast<uint8_t*>(pool_.data()) + static_cast<size_t>(kv_head) * head_stride_;
    return {base, stride_, head_stride_, page_ids_, format_};
  }
  int64_t head_dim() const { return head_dim_; }
  int64_t length() const { return length_; }
  const KvFormat& format() const { return format_; }
  AttendArithmetic arithmetic() const { return arithmetic_; }
  // Of the first KV head, where they are halves.
  uint16_t& K(int64_t position, int64_t d) { return Halves(KeysOf(position))[d * 16 + position % 16]; }
  uint16_t& V(int64_t position, int64_t d) { return Halves(ValuesOf(position))[position % 16 * head_dim_ + d]; }
  // What is stored, whatever the format.
  double StoredK(int64_t position, int64_t d) {
    if (format_.k == KvType::kF16) return tensor::HalfToFloat(K(position, d));
    uint8_t* const page = KeysOf(position);
    const double scale = tensor::HalfToFloat(Halves(page)[d / 32 * 16 + position % 16]);
    const uint8_t* const pairs = page + (head_dim_ + 31) / 32 * 32;
    return scale * static_cast<int8_t>(pairs[d / 2 * 32 + position % 16 * 2 + d % 2]);
  }
  double StoredV(int64_t position, int64_t d) {
    if (format_.v == KvType::kF16) return tensor::HalfToFloat(V(position, d));
    uint8_t* const page = ValuesOf(position);
    const double scale = reinterpret_cast<float*>(page)[position % 16];
    return scale * static_cast<int8_t>(page[64 + (position % 16 / 2 * head_dim_ + d) * 2 + position % 2]);
  }
  // What was to be stored, of the first KV head.
  const std::vector<float>& WrittenK(int64_t position) const { return k_[position * kv_heads_]; }
  const std::vector<float>& WrittenV(int64_t position) const { return v_[position * kv_heads_]; }
  std::vector<float> Gaussian(int64_t n, float spread) {
    std::normal_distribution<float> normal(0.0f, spread);
    std::vector<float> x(n);
    for (float& value : x) value = normal(random_);
    return x;
  }

 private:
  static uint16_t* Halves(uint8_t* p) { return reinterpret_cast<uint16_t*>(p); }
  uint8_t* KeysOf(int64_t position) {
    return reinterpret_cast<uint8_t*>(pool_.data()) + page_ids_[position / 16] * stride_;
  }
  uint8_t* ValuesOf(int64_t position) { return KeysOf(position) + KvKeyBytes(head_dim_, format_); }
  int64_t head_dim_;
  int64_t length_;
  int64_t kv_heads_;
  KvFormat format_;
  AttendArithmetic arithmetic_;
  std::mt19937 random_;
  size_t stride_;
  size_t head_stride_;
  std::vector<int32_t> page_ids_;
  std::vector<uint16_t> pool_;
  std::vector<std::vector<float>> k_;
  std::vector<std::vector<float>> v_;
};

struct Item {
  int64_t first_position;
  int64_t n_tokens;
  int64_t n_heads;
};

inline std::string Describe(const Item& item, int64_t head_dim) {
  return "first " + std::to_string(item.first_position) + " tokens " + std::to_string(item.n_tokens) + " heads " +
         std::to_string(item.n_heads) + " head_dim " + std::to_string(head_dim);
}

// Queries and results of an item over all the sequence's KV heads, in rows with gaps and guards between them.
class Call {
 public:
  // q: (n_tokens, kv_heads * n_heads, head_dim) without gaps; kv_heads is 1 or the sequence's.
  Call(Sequence& s, const Item& item, float scale, const std::vector<float>& q) {
    row_ = static_cast<int64_t>(q.size()) / item.n_tokens;
    q_.assign(item.n_tokens * (row_ + 3), std::numeric_limits<float>::quiet_NaN());
    out_.assign(item.n_tokens * (row_ + 5), 12345.0f);
    for (int64_t t = 0; t < item.n_tokens; ++t) std::copy_n(q.data() + t * row_, row_, q_.data() + t * (row_ + 3));
    attend_.pages = s.pages();
    attend_.arithmetic = s.arithmetic();
    attend_.first_position = item.first_position;
    attend_.n_tokens = item.n_tokens;
    attend_.kv_heads = row_ / (item.n_heads * s.head_dim());
    attend_.n_heads = item.n_heads;
    attend_.head_dim = s.head_dim();
    attend_.scale = scale;
    attend_.q = q_.data();
    attend_.q_stride = row_ + 3;
    attend_.out = out_.data();
    attend_.out_stride = row_ + 5;
  }
  const AttendItem& attend() const { return attend_; }
  // The result without gaps.
  std::vector<float> Result() const {
    std::vector<float> packed(attend_.n_tokens * row_);
    for (int64_t t = 0; t < attend_.n_tokens; ++t) {
      std::copy_n(out_.data() + t * (row_ + 5), row_, packed.data() + t * row_);
      for (int64_t i = row_; i < row_ + 5; ++i) EXPECT_EQ(out_[t * (row_ + 5) + i], 12345.0f);
    }
    return packed;
  }

 private:
  AttendItem attend_;
  int64_t row_;
  std::vector<float> q_;
  std::vector<float> out_;
};

inline std::vector<float> RunAttend(Isa isa, Sequence& s, const Item& item, float scale, const std::vector<float>& q) {
  const Call call(s, item, scale, q);
  Scratch scratch(AttendScratchBytes(call.attend()));
  Attend(isa, call.attend(), scratch.data());
  EXPECT_TRUE(scratch.GuardIntact()) << Describe(item, s.head_dim());
  return call.Result();
}

// The same in chunks, dealt out to `threads` threads from the last chunk to the first; whoever is last merges.
inline std::vector<float> RunInParts(Isa isa, Sequence& s, const Item& item, float scale, const std::vector<float>& q,
                                     int threads) {
  const Call call(s, item, scale, q);
  const AttendItem& attend = call.attend();
  const int64_t chunks = AttendChunks(attend);
  Scratch parts(static_cast<size_t>(chunks) * AttendPartFloats(attend) * sizeof(float));
  auto* const floats = reinterpret_cast<float*>(parts.data());
  std::atomic<int64_t> next = chunks;
  std::atomic<int64_t> left = chunks;
  std::vector<std::thread> team;
  for (int i = 0; i < threads; ++i) {
    team.emplace_back([&] {
      Scratch scratch(AttendScratchBytes(attend));
      for (int64_t chunk = --next; chunk >= 0; chunk = --next) {
        AttendChunk(isa, attend, chunk, floats, scratch.data());
        if (--left == 0) MergeChunks(isa, attend, floats);
      }
      EXPECT_TRUE(scratch.GuardIntact());
    });
  }
  for (std::thread& thread : team) thread.join();
  EXPECT_TRUE(parts.GuardIntact()) << Describe(item, s.head_dim());
  return call.Result();
}

// The exact softmax of one row, and how far float arithmetic may stray from it.
struct Reference {
  std::vector<double> out;
  double tolerance;
};

// Error model, u = 2^-24 (int8 adds what its int16 sides round, see below): a score is a chain of head_dim rounded
// multiply-adds (4 sqrt(head_dim) u of the sum of the magnitudes, four standard deviations of a random walk); the
// subtraction of the maximum and exp add u |score| and 2e-7; numerator errors count twice (numerator and sum); the sum
// over positions is a random walk too. int8 K: a query element is off by up to half a 32767th of the largest, evenly
// spread (deviation 1 / sqrt(12) of that step), and so the score by sqrt(12)^-1 steps times the norm of k. int8 V: so
// is each numerator times its V's scale; the largest of a block of 64 is at most largest_v / 127. Four deviations of
// each. int16: so with both sides of a score, by a 32767th of either norm; exp is within 2.7e-6; a numerator times the
// norm of its V is off by half a 32767th of their sum over the block, and an element of V by half a 32767th of its
// norm.
inline Reference ExactRow(const std::vector<double>& k, const std::vector<double>& v, int64_t visible, int64_t head_dim,
                          float scale, const float* q, const Way& way) {
  std::vector<double> p(visible);
  double max = -std::numeric_limits<double>::infinity();
  double largest_score = 0.0;
  double largest_magnitude = 0.0;
  double largest_v = 0.0;
  double largest_k_norm = 0.0;
  double largest_q = 0.0;
  double q_square = 0.0;
  double largest_v_norm = 0.0;
  double largest_v_part = 0.0;  // of an element in its position's norm
  for (int64_t d = 0; d < head_dim; ++d) q_square += static_cast<double>(scale) * q[d] * scale * q[d];
  for (int64_t j = 0; j < visible; ++j) {
    double magnitude = 0.0;
    double k_square = 0.0;
    for (int64_t d = 0; d < head_dim; ++d) {
      const double product = static_cast<double>(scale) * q[d] * k[j * head_dim + d];
      p[j] += product;
      magnitude += std::fabs(product);
      k_square += k[j * head_dim + d] * k[j * head_dim + d];
      largest_q = std::max(largest_q, std::fabs(static_cast<double>(scale) * q[d]));
      largest_v = std::max(largest_v, std::fabs(v[j * head_dim + d]));
    }
    const double v_norm =
        std::sqrt(std::inner_product(&v[j * head_dim], &v[j * head_dim] + head_dim, &v[j * head_dim], 0.0));
    largest_v_norm = std::max(largest_v_norm, v_norm);
    for (int64_t d = 0; d < head_dim; ++d) {
      largest_v_part = std::max(largest_v_part, std::fabs(v[j * head_dim + d]) / v_norm);
    }
    max = std::max(max, p[j]);
    largest_k_norm = std::max(largest_k_norm, std::sqrt(k_square));
    largest_score = std::max(largest_score, std::fabs(p[j]));
    largest_magnitude = std::max(largest_magnitude, magnitude);
  }
  Reference r{std::vector<double>(head_dim), 0.0};
  double sum = 0.0;
  for (int64_t j = 0; j < visible; ++j) {
    const double weight = std::exp(p[j] - max);
    sum += weight;
    for (int64_t d = 0; d < head_dim; ++d) r.out[d] += weight * v[j * head_dim + d];
  }
  for (double& x : r.out) x /= sum;
  constexpr double kDeviations = 4 / 3.4641;
  double score_error = 4 * std::sqrt(head_dim) * kEpsilon * largest_magnitude + 3 * kEpsilon * largest_score;
  if (way.format.k == KvType::kQ8_0) score_error += kDeviations * largest_q / 32767 * largest_k_norm;
  const bool int16 = way.arithmetic == AttendArithmetic::kInt16;
  if (int16) score_error += kDeviations * std::sqrt(2 * q_square) * largest_k_norm / 32767 + 2.7e-6;
  r.tolerance = largest_v * (2 * (score_error + 2e-7) + 4 * std::sqrt(visible) * kEpsilon);
  if (int16) r.tolerance += kDeviations * (8 * largest_v_part + 1) * largest_v_norm / 32767;
  if (way.format.v == KvType::kQ8_0) {
    const double blocks = std::ceil(static_cast<double>(visible) / 64);
    r.tolerance += kDeviations * std::sqrt(64 * blocks) * largest_v / 32767;
  }
  return r;
}

inline std::vector<double> Unpack(Sequence& s, bool keys) {
  std::vector<double> x(s.length() * s.head_dim());
  for (int64_t p = 0; p < s.length(); ++p) {
    for (int64_t d = 0; d < s.head_dim(); ++d) x[p * s.head_dim() + d] = keys ? s.StoredK(p, d) : s.StoredV(p, d);
  }
  return x;
}

inline void ExpectExact(Sequence& s, const Item& item, float scale, const std::vector<float>& q,
                        const std::vector<float>& out) {
  const std::vector<double> k = Unpack(s, true);
  const std::vector<double> v = Unpack(s, false);
  for (int64_t row = 0; row < item.n_tokens * item.n_heads; ++row) {
    const int64_t visible = item.first_position + row / item.n_heads + 1;
    const Reference r =
        ExactRow(k, v, visible, s.head_dim(), scale, q.data() + row * s.head_dim(), {s.format(), s.arithmetic()});
    for (int64_t d = 0; d < s.head_dim(); ++d) {
      const float got = out[row * s.head_dim() + d];
      ASSERT_LE(std::fabs(got - r.out[d]), r.tolerance)
          << Describe(item, s.head_dim()) << " row " << row << " d " << d << " got " << got << " want " << r.out[d];
    }
  }
}

inline void CheckItem(Isa isa, const Way& way, const Item& item, int64_t head_dim, unsigned seed,
                      float q_spread = 1.0f) {
  Sequence s(head_dim, item.first_position + item.n_tokens, seed, 1, way);
  const std::vector<float> q = s.Gaussian(item.n_tokens * item.n_heads * head_dim, q_spread);
  const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
  ExpectExact(s, item, scale, q, RunAttend(isa, s, item, scale, q));
}

}  // namespace tenfold::kernels
