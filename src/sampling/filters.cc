#include "sampling/filters.h"

#include <emmintrin.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace tenfold::sampling {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

// Calls fn(token, logit) for every logit > threshold, in order of ids. fn may raise the threshold.
template <class Fn>
void ForEachAbove(std::span<const float> logits, const float& threshold, Fn&& fn) {
  size_t i = 0;
  const auto visit = [&](size_t at) {
    if (logits[at] > threshold) fn(static_cast<int32_t>(at), logits[at]);
  };
  for (; i + 16 <= logits.size(); i += 16) {
    const __m128 bar = _mm_set1_ps(threshold);
    __m128 any = _mm_cmpgt_ps(_mm_loadu_ps(logits.data() + i), bar);
    for (int j = 1; j < 4; ++j) any = _mm_or_ps(any, _mm_cmpgt_ps(_mm_loadu_ps(logits.data() + i + 4 * j), bar));
    if (_mm_movemask_ps(any) == 0) continue;
    for (size_t at = i; at < i + 16; ++at) visit(at);
  }
  for (; i < logits.size(); ++i) visit(i);
}

// Keeps the likeliest of `sorted` whose weights together first reach `mass`. Weights are exp(logit - peak).
void CutByMass(std::vector<TokenLogprob>& sorted, float peak, double mass) {
  double sum = 0;
  size_t keep = 0;
  while (keep < sorted.size()) {
    sum += std::exp(static_cast<double>(sorted[keep++].logprob) - static_cast<double>(peak));
    if (sum >= mass) break;
  }
  sorted.resize(keep);
}

void TopPOfCandidates(std::vector<TokenLogprob>& sorted, float peak, double top_p) {
  double total = 0;
  for (const TokenLogprob& c : sorted) total += std::exp(static_cast<double>(c.logprob) - static_cast<double>(peak));
  CutByMass(sorted, peak, top_p * total);
}

// How far below the peak, in steps of 1/16; the last bucket has no end.
constexpr int kBuckets = 512;
int BucketOf(float logit, float peak) {
  const float steps = (peak - logit) * 16;
  return steps < kBuckets - 1 ? static_cast<int>(steps) : kBuckets - 1;
}

// Top-p of the whole vocabulary. The mass of each bucket tells in which bucket the cut falls; all before it is kept,
// and only that bucket is sorted.
void TopPOfAll(std::span<const float> logits, float peak, double top_p, std::vector<TokenLogprob>& out,
               std::vector<TokenLogprob>& edge) {
  constexpr size_t kBlock = 1024;
  double mass[kBuckets] = {};
  float weights[kBlock];
  for (size_t at = 0; at < logits.size(); at += kBlock) {
    const auto block = logits.subspan(at, std::min(kBlock, logits.size() - at));
    ExpRelative(block, peak, 1, weights);
    for (size_t i = 0; i < block.size(); ++i) {
      if (weights[i] > 0) mass[BucketOf(block[i], peak)] += static_cast<double>(weights[i]);
    }
  }
  double total = 0;
  for (const double m : mass) total += m;
  const double wanted = top_p * total;
  double before = 0;
  int cut = 0;
  while (cut < kBuckets - 1 && before + mass[cut] < wanted) before += mass[cut++];

  out.clear();
  edge.clear();
  // A little below the cut's end, because of rounding; 88 below the peak weights are zero. The bar itself is excluded.
  const float depth = cut == kBuckets - 1 ? 88.0F : static_cast<float>(cut + 1) / 16 * 1.001F + 0.001F;
  const float bar = std::nextafter(peak - depth, kLowest);
  ForEachAbove(logits, bar, [&](int32_t token, float logit) {
    const int bucket = BucketOf(logit, peak);
    if (bucket < cut) out.push_back({token, logit});
    if (bucket == cut) edge.push_back({token, logit});
  });
  std::sort(edge.begin(), edge.end(), Likelier);
  CutByMass(edge, peak, wanted - before);
  out.insert(out.end(), edge.begin(), edge.end());
}

// Locally typical sampling (Meister et al. 2022): of the candidates, those whose surprise -log p is nearest to the
// expected one, the entropy, until their probabilities together reach typical_p. Among equally near ones the likelier
// first. A heap yields the nearest without sorting the rest. Leaves them sorted, likeliest first.
void KeepTypical(std::vector<TokenLogprob>& candidates, double typical_p, std::vector<TokenLogprob>& kept) {
  const float peak = std::max_element(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
                       return Likelier(b, a);
                     })->logprob;
  const auto weight = [&](const TokenLogprob& c) {
    return std::exp(static_cast<double>(c.logprob) - static_cast<double>(peak));
  };
  double total = 0;
  double weighted = 0;  // of logits below the peak
  for (const TokenLogprob& c : candidates) {
    const double w = weight(c);
    total += w;
    if (w > 0) weighted += w * (static_cast<double>(peak) - static_cast<double>(c.logprob));
  }
  // The entropy is log(total) + weighted / total, and a candidate's surprise log(total) + its depth below the peak.
  const double typical_depth = weighted / total;
  const auto distance = [&](const TokenLogprob& c) {
    return std::abs(static_cast<double>(peak) - static_cast<double>(c.logprob) - typical_depth);
  };
  const auto farther = [&](const TokenLogprob& a, const TokenLogprob& b) {
    const double da = distance(a);
    const double db = distance(b);
    return da != db ? da > db : Likelier(b, a);
  };
  std::make_heap(candidates.begin(), candidates.end(), farther);
  kept.clear();
  double sum = 0;
  while (!candidates.empty()) {
    std::pop_heap(candidates.begin(), candidates.end(), farther);
    kept.push_back(candidates.back());
    candidates.pop_back();
    sum += weight(kept.back());
    if (sum >= typical_p * total) break;
  }
  std::sort(kept.begin(), kept.end(), Likelier);
  candidates.swap(kept);
}

}  // namespace

void SelectTop(std::span<const float> logits, int64_t k, std::vector<TokenLogprob>& out) {
  const auto keep = static_cast<size_t>(std::min<int64_t>(k, static_cast<int64_t>(logits.size())));
  const size_t capacity = std::max<size_t>(2 * keep, 256);
  out.clear();
  if (keep == 0) return;
  float threshold = kLowest;
  const auto shrink = [&] {
    std::nth_element(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(keep) - 1, out.end(), Likelier);
    out.resize(keep);
  };
  // A later logit equal to the worst kept one has a higher id and loses, so "above the threshold" is exact.
  ForEachAbove(logits, threshold, [&](int32_t token, float logit) {
    if (!(logit > threshold)) return;
    out.push_back({token, logit});
    if (out.size() < capacity) return;
    shrink();
    threshold = out.back().logprob;
  });
  if (out.size() > keep) shrink();
  std::sort(out.begin(), out.end(), Likelier);
}

bool HasFilters(const Params& params, size_t vocabulary) {
  return (params.top_k > 0 && static_cast<size_t>(params.top_k) < vocabulary) || params.top_p < 1 || params.min_p > 0 ||
         params.typical_p < 1;
}

void Filter(std::span<const float> logits, const Peak& peak, const Params& params, std::vector<TokenLogprob>& out,
            std::vector<TokenLogprob>& edge) {
  const double top_p = static_cast<double>(params.top_p);
  const bool has_top_k = params.top_k > 0 && static_cast<size_t>(params.top_k) < logits.size();
  if (params.typical_p < 1) {
    if (has_top_k) {
      SelectTop(logits, params.top_k, out);
    } else {
      out.clear();
      ForEachAbove(logits, kLowest, [&](int32_t token, float logit) { out.push_back({token, logit}); });
    }
    KeepTypical(out, static_cast<double>(params.typical_p), edge);
    const float likeliest = out.front().logprob;
    if (params.top_p < 1) TopPOfCandidates(out, likeliest, top_p);
    if (params.min_p > 0) {
      const float bar = likeliest + std::log(std::min(params.min_p, 1.0F));
      std::erase_if(out, [&](const TokenLogprob& c) { return c.logprob < bar; });
    }
    return;
  }
  // p >= min_p * p(peak) is logit >= peak + log(min_p).
  const float floor = params.min_p > 0 ? peak.logit + std::log(std::min(params.min_p, 1.0F)) : kLowest;
  const auto below_floor = [&](const TokenLogprob& c) { return c.logprob < floor; };
  if (has_top_k) {
    SelectTop(logits, params.top_k, out);
    if (params.top_p < 1) TopPOfCandidates(out, peak.logit, top_p);
  } else if (params.top_p < 1) {
    TopPOfAll(logits, peak.logit, top_p, out, edge);
  } else {
    out.clear();
    const float bar = std::nextafter(floor, kLowest);
    ForEachAbove(logits, bar, [&](int32_t token, float logit) { out.push_back({token, logit}); });
  }
  std::erase_if(out, below_floor);
}

}  // namespace tenfold::sampling
