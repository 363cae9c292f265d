#include "sampling/filters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>

namespace tenfold::sampling {
namespace {

std::vector<float> RandomLogits(size_t n, uint32_t seed, float spread) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> out(n);
  for (float& x : out) x = normal(random);
  return out;
}

std::vector<int32_t> SortedIds(const std::vector<float>& logits) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > -std::numeric_limits<float>::infinity()) ids.push_back(static_cast<int32_t>(i));
  }
  std::stable_sort(ids.begin(), ids.end(), [&](int a, int b) { return logits[a] > logits[b]; });
  return ids;
}

// Locally typical sampling as its paper reads: sort by |-log p - entropy|, keep until the mass is reached.
std::vector<int32_t> Typical(const std::vector<float>& logits, const std::vector<int32_t>& ids, double typical_p) {
  double total = 0;
  for (const int id : ids) total += std::exp(static_cast<double>(logits[id]) - static_cast<double>(logits[ids[0]]));
  const auto logp = [&](int id) {
    return static_cast<double>(logits[id]) - static_cast<double>(logits[ids[0]]) - std::log(total);
  };
  double entropy = 0;
  for (const int id : ids) entropy -= std::exp(logp(id)) * logp(id);
  std::vector<int32_t> order = ids;
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return std::abs(-logp(a) - entropy) < std::abs(-logp(b) - entropy); });
  double mass = 0;
  size_t keep = 0;
  while (keep < order.size() && mass < typical_p) mass += std::exp(logp(order[keep++]));
  order.resize(keep);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return logits[a] > logits[b]; });
  return order;
}

// The chain as its definition reads, on a fully sorted vocabulary.
std::set<int32_t> Reference(const std::vector<float>& logits, const Params& params) {
  std::vector<int32_t> ids = SortedIds(logits);
  if (params.top_k > 0) ids.resize(std::min<size_t>(ids.size(), params.top_k));
  if (params.typical_p < 1) ids = Typical(logits, ids, static_cast<double>(params.typical_p));
  std::vector<double> p;
  for (const int id : ids) p.push_back(std::exp(static_cast<double>(logits[id]) - static_cast<double>(logits[ids[0]])));
  const double total = std::accumulate(p.begin(), p.end(), 0.0);
  size_t keep = ids.size();
  if (params.top_p < 1) {
    double sum = 0;
    for (keep = 0; keep < ids.size();) {
      sum += p[keep++];
      if (sum >= static_cast<double>(params.top_p) * total) break;
    }
  }
  std::set<int32_t> out;
  for (size_t i = 0; i < keep; ++i) {
    if (logits[ids[i]] >= logits[ids[0]] + (params.min_p > 0 ? std::log(params.min_p) : -1e30F)) out.insert(ids[i]);
  }
  return out;
}

std::set<int32_t> Filtered(const std::vector<float>& logits, const Params& params) {
  std::vector<TokenLogprob> out = {{-1, 0}};  // left over from an earlier draw
  std::vector<TokenLogprob> edge = {{-1, 0}};
  Filter(logits, FindPeak(logits), params, out, edge);
  std::set<int32_t> ids;
  for (const TokenLogprob& c : out) {
    EXPECT_TRUE(ids.insert(c.token).second) << "twice";
    EXPECT_EQ(c.logprob, logits[c.token]);
  }
  return ids;
}

TEST(Filter, AgreesWithTheDefinitionOnRandomLogits) {
  int checked = 0;
  for (uint32_t seed = 0; seed < 12; ++seed) {
    const size_t n = seed % 3 == 0 ? 20'000 : 50 + seed * 97;
    const std::vector<float> logits = RandomLogits(n, seed, seed % 2 == 0 ? 4 : 0.3F);
    for (const int top_k : {0, 1, 7, 40, 1000}) {
      for (const float top_p : {1.0F, 0.95F, 0.5F, 0.01F, 0.999F}) {
        for (const float min_p : {0.0F, 0.05F, 0.9F}) {
          const Params params{.top_p = top_p, .top_k = top_k, .min_p = min_p};
          if (!HasFilters(params, n)) continue;
          ASSERT_EQ(Filtered(logits, params), Reference(logits, params))
              << "n " << n << " seed " << seed << " top_k " << top_k << " top_p " << top_p << " min_p " << min_p;
          ++checked;
        }
      }
    }
  }
  EXPECT_GT(checked, 500);
}

TEST(Filter, TypicalAgreesWithTheDefinition) {
  int without_peak = 0;
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const std::vector<float> logits = RandomLogits(40 + seed * 301, seed, seed % 2 == 0 ? 3 : 0.7F);
    for (const int top_k : {0, 30}) {
      for (const float typical_p : {0.05F, 0.3F, 0.9F}) {
        for (const float top_p : {1.0F, 0.8F}) {
          for (const float min_p : {0.0F, 0.5F}) {
            const Params params{.top_p = top_p, .top_k = top_k, .min_p = min_p, .typical_p = typical_p};
            const std::set<int32_t> kept = Filtered(logits, params);
            ASSERT_EQ(kept, Reference(logits, params)) << "seed " << seed << " typical_p " << typical_p;
            without_peak += !kept.contains(FindPeak(logits).token);
          }
        }
      }
    }
  }
  EXPECT_GT(without_peak, 0);  // or nothing of what is special was tested
}

TEST(Filter, EqualLogitsAreKeptByLowestId) {
  const std::vector<float> logits(1000, 0.25F);
  EXPECT_EQ(Filtered(logits, {.top_k = 3}), (std::set<int32_t>{0, 1, 2}));
  EXPECT_EQ(Filtered(logits, {.top_p = 0.0025F}), (std::set<int32_t>{0, 1, 2}));
  EXPECT_EQ(Filtered(logits, {.min_p = 1}).size(), 1000u);
}

TEST(Filter, OneTokenIsAlwaysLeft) {
  const std::vector<float> logits = {0, 3, 1, 2};
  for (const float extreme : {0.0F, -1.0F, 1e-30F})
    EXPECT_EQ(Filtered(logits, {.top_p = extreme}), std::set<int32_t>{1});
  EXPECT_EQ(Filtered(logits, {.min_p = 1}), std::set<int32_t>{1});
  EXPECT_EQ(Filtered(logits, {.min_p = 100}), std::set<int32_t>{1});
}

TEST(Filter, FarTailsAndForbiddenTokens) {
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<float> logits(2000, -inf);
  logits[5] = 1;
  logits[1500] = -30;
  logits[1600] = -85;
  logits[1700] = -3e38F;
  logits[1800] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(Filtered(logits, {.top_p = 0.9F}), std::set<int32_t>{5});
  EXPECT_EQ(Filtered(logits, {.top_k = 100}), (std::set<int32_t>{5, 1500, 1600, 1700}));
  EXPECT_EQ(Filtered(logits, {.min_p = 1e-20F}), (std::set<int32_t>{5, 1500}));
}

TEST(SelectTop, IsAPrefixOfTheSortedVocabularyInAnyOrderOfIt) {
  std::vector<float> random = RandomLogits(30'000, 5, 2);
  std::vector<float> rising = random;
  std::sort(rising.begin(), rising.end());
  const std::vector<float> falling(rising.rbegin(), rising.rend());
  std::vector<float> coarse = random;  // many ties
  for (float& x : coarse) x = std::round(x * 4);
  std::vector<TokenLogprob> out;
  for (const auto& logits : {random, rising, falling, coarse}) {
    const std::vector<int32_t> ids = SortedIds(logits);
    for (const int64_t k : {1, 20, 128, 129, 5000, 30'000, 40'000}) {
      SelectTop(logits, k, out);
      ASSERT_EQ(out.size(), std::min<size_t>(k, logits.size()));
      for (size_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i].token, ids[i]) << "place " << i << " of " << k;
    }
  }
}

}  // namespace
}  // namespace tenfold::sampling
