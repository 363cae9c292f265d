// Names for "these tokens, behind exactly those": the keys under which full pages are found again.
//
// The key of a page is the hash of its parent's key and its own 16 tokens; the first page's parent is the root, a hash
// of the request's cache_salt. So equal keys mean equal salts and equal tokens from the very first one on, as far as a
// 128-bit hash can tell; page_cache.h compares the tokens besides. XXH3 because it is far faster than anything
// cryptographic and the seed is the process's secret: without it nobody can search for collisions.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "kv/block_pool.h"

namespace tenfold::kv {

struct PrefixKey {
  uint64_t low = 0;
  uint64_t high = 0;
  auto operator<=>(const PrefixKey&) const = default;
};

struct PrefixKeyHash {
  size_t operator()(const PrefixKey& key) const { return static_cast<size_t>(key.low); }  // it is a hash already
};

using PageTokens = std::span<const int32_t, kPageTokens>;

// Pure, any thread.
PrefixKey RootKey(std::string_view salt, uint64_t seed);
PrefixKey NextKey(const PrefixKey& parent, PageTokens tokens, uint64_t seed);

}  // namespace tenfold::kv
