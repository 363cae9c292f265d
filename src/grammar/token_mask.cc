#include "grammar/token_mask.h"

#include <algorithm>
#include <bit>

#include "grammar/state_space.h"

namespace tenfold::grammar {
namespace {

constexpr int64_t kMaxIds = 1024;

Status Walk(StateSpace& space, const State* start, const TokenTrie& trie, std::vector<const State*>& path,
            WorkBudget& budget, uint64_t* bits) {
  if (path.size() <= trie.max_depth()) path.resize(trie.max_depth() + 1);
  path[0] = start;
  const TokenTrie::Node* nodes = trie.nodes();
  const int32_t* tokens = trie.tokens();
  const auto size = static_cast<uint32_t>(trie.size());
  for (uint32_t at = 0; at < size;) {
    const TokenTrie::Node& node = nodes[at];
    const State* from = path[node.depth - 1U];
    const Transitions* transitions = from->transitions.load(std::memory_order_acquire);
    if (transitions == nullptr) {
      TENFOLD_TRY(transitions, space.Expand(from, budget));
    }
    const State* to = transitions->Next(node.byte);
    if (to == nullptr) {
      at = node.after;
      continue;
    }
    path[node.depth] = to;
    for (uint32_t i = node.first_token; i < nodes[at + 1].first_token; ++i) {
      bits[tokens[i] >> 6] |= 1ULL << (tokens[i] & 63);
    }
    ++at;
  }
  return {};
}

}  // namespace

TokenMask::TokenMask(std::vector<uint64_t> bits) {
  int64_t count = 0;
  for (const uint64_t word : bits) count += std::popcount(word);
  if (count > kMaxIds) {
    bits_ = std::move(bits);
    return;
  }
  ids_.reserve(static_cast<size_t>(count));
  for (size_t i = 0; i < bits.size(); ++i) {
    for (uint64_t word = bits[i]; word != 0; word &= word - 1) {
      ids_.push_back(static_cast<int32_t>(i) * 64 + std::countr_zero(word));
    }
  }
}

void TokenMask::Fill(std::span<uint64_t> out) const {
  if (!bits_.empty()) {
    std::copy(bits_.begin(), bits_.end(), out.begin());
    return;
  }
  std::fill(out.begin(), out.end(), 0);
  for (const int32_t id : ids_) out[static_cast<size_t>(id) >> 6] |= 1ULL << (id & 63);
}

Result<std::unique_ptr<const TokenMask>> ComputeMask(StateSpace& space, const State* state,
                                                     const Vocabulary& vocabulary, WorkBudget& budget) {
  std::vector<uint64_t> bits(vocabulary.mask_words(), 0);
  std::vector<const State*> path;
  TENFOLD_TRY_STATUS(Walk(space, state, vocabulary.mixed(), path, budget, bits.data()));
  for (const PlainGroup& group : vocabulary.plain_groups()) {
    if (group.max_characters <= state->plain_run) {
      for (size_t i = 0; i < bits.size(); ++i) bits[i] |= group.bits[i];
    } else {
      TENFOLD_TRY_STATUS(Walk(space, state, group.trie, path, budget, bits.data()));
    }
  }
  if (state->accepts) {
    for (const int32_t id : vocabulary.end_tokens()) bits[static_cast<size_t>(id) >> 6] |= 1ULL << (id & 63);
  }
  return std::make_unique<const TokenMask>(std::move(bits));
}

}  // namespace tenfold::grammar
