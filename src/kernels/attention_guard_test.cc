// Nothing that touches keys, values and activations reads or writes outside what it was given: pages, queries, results,
// scratch and inputs lie between memory pages that cannot be touched, against the one behind them and the one before.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <span>
#include <vector>

#include "kernels/activations.h"
#include "kernels/attention.h"
#include "kernels/attention_testing.h"
#include "kernels/guarded_testing.h"
#include "kernels/test_isas.h"

namespace tenfold::kernels {
namespace {

class AttentionGuards : public ::testing::TestWithParam<Isa> {};
INSTANTIATE_TEST_SUITE_P(Isas, AttentionGuards, ::testing::ValuesIn(TestIsas()), TestIsaName);

// A sequence's pages one after another in one guarded piece, filled through WriteKv from guarded vectors.
class GuardedSequence {
 public:
  GuardedSequence(Isa isa, const KvFormat& format, int64_t head_dim, int64_t length, Against side)
      : ids_(static_cast<size_t>((length + kPageTokens - 1) / kPageTokens)),
        stride_(KvPageBytes(head_dim, format)),
        memory_(nullptr, ids_.size() * stride_, side),
        format_(format) {
    std::iota(ids_.begin(), ids_.end(), 0);
    const auto bytes = static_cast<size_t>(head_dim) * sizeof(float);
    for (int64_t p = 0; p < length; ++p) {
      std::vector<float> k_row(static_cast<size_t>(head_dim));
      std::vector<float> v_row(static_cast<size_t>(head_dim));
      for (int64_t d = 0; d < head_dim; ++d) {
        k_row[d] = std::sin(static_cast<float>(p * 7 + d));
        v_row[d] = std::cos(static_cast<float>(p * 3 + 2 * d));
      }
      const Guarded k(k_row.data(), bytes, side);
      const Guarded v(v_row.data(), bytes, side);
      WriteKv(isa, pages(), p, head_dim, Floats(k), Floats(v));
    }
  }
  KvPages pages() const { return {memory_.data(), stride_, 0, ids_, format_}; }
  static float* Floats(const Guarded& g) { return reinterpret_cast<float*>(g.data()); }

 private:
  std::vector<int32_t> ids_;
  size_t stride_;
  Guarded memory_;
  KvFormat format_;
};

// The item's result, with everything between guards; whole, or in parts.
std::vector<float> RunGuarded(Isa isa, AttendItem item, const std::vector<float>& q, bool in_parts, Against side) {
  const size_t bytes = q.size() * sizeof(float);
  const Guarded queries(q.data(), bytes, side);
  const Guarded out(nullptr, bytes, side);
  item.q = GuardedSequence::Floats(queries);
  item.out = GuardedSequence::Floats(out);
  item.q_stride = item.out_stride = item.kv_heads * item.n_heads * item.head_dim;
  const Guarded scratch(nullptr, (AttendScratchBytes(item) + 63) / 64 * 64, side);
  if (in_parts) {
    const auto chunks = static_cast<size_t>(AttendChunks(item));
    const Guarded parts(nullptr, chunks * AttendPartFloats(item) * sizeof(float), side);
    for (size_t c = 0; c < chunks; ++c) {
      AttendChunk(isa, item, static_cast<int64_t>(c), GuardedSequence::Floats(parts), scratch.data());
    }
    MergeChunks(isa, item, GuardedSequence::Floats(parts));
  } else {
    Attend(isa, item, scratch.data());
  }
  return {item.out, item.out + q.size()};
}

TEST_P(AttentionGuards, KeysValuesAndAttentionStayInside) {
  for (const Way& way : {Way(kHalves), Way(kInt8), kHalvesInInt16}) {
    for (const int64_t head_dim : {64, 80, 128}) {
      for (const Against side : {Against::kFront, Against::kBack}) {
        constexpr int64_t kLength = 535;  // two chunks, and a last page that is not full
        const GuardedSequence s(GetParam(), way.format, head_dim, kLength, side);
        for (const int64_t tokens : {1, 2, 3, 5, 8, 17, 32}) {
          for (const int64_t heads : {1, 3, 4}) {
            AttendItem item;
            item.pages = s.pages();
            item.arithmetic = way.arithmetic;
            item.n_tokens = tokens;
            item.n_heads = heads;
            item.head_dim = head_dim;
            item.scale = 0.1f;
            std::vector<float> q(static_cast<size_t>(tokens * heads * head_dim));
            for (size_t i = 0; i < q.size(); ++i) q[i] = std::sin(static_cast<float>(i));
            item.first_position = kLength - tokens;
            const auto whole = RunGuarded(GetParam(), item, q, false, side);
            const auto parts = RunGuarded(GetParam(), item, q, true, side);
            ASSERT_EQ(std::memcmp(whole.data(), parts.data(), whole.size() * sizeof(float)), 0);
            for (const float x : whole) ASSERT_LE(std::fabs(x), 1.01f);  // a mean of values
            item.first_position = 0;                                     // the first page alone
            RunGuarded(GetParam(), item, q, false, side);
          }
        }
      }
    }
  }
}

TEST_P(AttentionGuards, QuantisersReadOnlyTheirRows) {
  const std::vector<tensor::DType> all = {tensor::DType::kF16, tensor::DType::kQ8_0, tensor::DType::kQ4_K};
  for (const auto precision : {Precision::kFast, Precision::kExact}) {
    for (const int64_t cols : {256, 288, 1088, 2560}) {
      // Rows of Q4_K are whole blocks of 256.
      const std::span<const tensor::DType> formats(all.data(), cols % 256 == 0 ? 3 : 2);
      for (const int64_t tokens : {1, 7}) {
        const std::vector<float> x(static_cast<size_t>(cols * tokens), 0.5f);
        for (const Against side : {Against::kFront, Against::kBack}) {
          const Guarded input(x.data(), x.size() * sizeof(float), side);
          Activations activations;
          activations.Prepare(GetParam(), formats, GuardedSequence::Floats(input), cols, tokens, cols, precision);
          activations.Quantize(0, tokens);
          for (int64_t first = 0; first < cols; first += Activations::kBlockColumns) {
            activations.QuantizeColumns(0, tokens, first, std::min(Activations::kBlockColumns, cols - first));
          }
        }
      }
    }
  }
}

TEST_P(AttentionGuards, FloatOperationsStayInside) {
  for (const int64_t n : {16, 48, 80, 128, 2560}) {
    const std::vector<float> ones(static_cast<size_t>(n), 1.0f);
    for (const Against side : {Against::kFront, Against::kBack}) {
      const auto bytes = static_cast<size_t>(n) * sizeof(float);
      const Guarded a(ones.data(), bytes, side);
      const Guarded b(ones.data(), bytes, side);
      const Guarded y(nullptr, bytes, side);
      const auto floats = GuardedSequence::Floats;
      RmsNorm(GetParam(), floats(a), floats(b), n, 1e-6f, floats(y));
      EXPECT_NEAR(floats(y)[n - 1], 1.0f, 1e-5f);
      AddInPlace(GetParam(), floats(a), n, floats(b));
      EXPECT_EQ(floats(b)[n - 1], 2.0f);
      SiluMul(GetParam(), floats(a), floats(b), n, floats(y));
      EXPECT_NEAR(floats(y)[n - 1], 2 / (1 + std::exp(-1.0f)), 1e-5f);
      const Guarded angles(ones.data(), bytes / 2, side);
      for (const RopePairing pairing : {RopePairing::kHalves, RopePairing::kInterleaved}) {
        Rope(GetParam(), pairing, floats(angles), floats(angles), n, floats(a));
      }
    }
  }
}

}  // namespace
}  // namespace tenfold::kernels
