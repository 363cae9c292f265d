#include "kv/prefix_key.h"

#include <cstring>

// Inline: one header, no library that the machine which runs this would need.
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tenfold::kv {

// Another seed than for pages, so that no salt, whatever its bytes, can be a page's input.
PrefixKey RootKey(std::string_view salt, uint64_t seed) {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(salt.data(), salt.size(), ~seed);
  return {hash.low64, hash.high64};
}

PrefixKey NextKey(const PrefixKey& parent, PageTokens tokens, uint64_t seed) {
  struct {
    uint64_t parent[2];
    int32_t tokens[kPageTokens];
  } input;
  static_assert(sizeof input == 16 + 4 * kPageTokens);
  input.parent[0] = parent.low;
  input.parent[1] = parent.high;
  std::memcpy(input.tokens, tokens.data(), sizeof input.tokens);
  const XXH128_hash_t hash = XXH3_128bits_withSeed(&input, sizeof input, seed);
  return {hash.low64, hash.high64};
}

}  // namespace tenfold::kv
