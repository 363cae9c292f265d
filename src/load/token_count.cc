#include "load/token_count.h"

#include <fmt/format.h>

namespace tenfold::load {
namespace {

constexpr int64_t kTextlessTokens = 16;

std::string DoubtOf(int64_t said, const TextSeen& seen) {
  if (said > seen.most) return fmt::format("usage says {} tokens where {} were allowed", said, seen.most);
  if (seen.events > said + 1) return fmt::format("usage says {} tokens, which came in {} events", said, seen.events);
  if (said > 2 * static_cast<int64_t>(seen.bytes) + kTextlessTokens) {
    return fmt::format("usage says {} tokens for {} bytes of text", said, seen.bytes);
  }
  return "";
}

}  // namespace

TokenCount CountTokens(int64_t said, const TextSeen& seen) {
  if (said < 0) return {.tokens = seen.events, .estimated = true, .doubt = ""};
  std::string doubt = DoubtOf(said, seen);
  if (doubt.empty()) return {.tokens = said, .estimated = false, .doubt = ""};
  return {.tokens = seen.events, .estimated = true, .doubt = std::move(doubt)};
}

}  // namespace tenfold::load
