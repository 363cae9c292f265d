#include "grammar/mask_check.h"

#include <fmt/format.h>

#include <vector>

namespace tenfold::grammar {
namespace {

// Whether the token's bytes, one after the other, can follow; or the error of a grammar that is too ambiguous.
Result<bool> Follows(Matcher matcher, int32_t token) {
  const Status accepted = matcher.Accept(token);
  if (!accepted.ok() && accepted.error().code == ErrorCode::kResourceExhausted) return accepted.error();
  return accepted.ok();
}

}  // namespace

std::shared_ptr<const Vocabulary> SmallVocabulary() {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  for (const char* text : {"\":", "\", \"", "},", "{\"", "]}", "null", "true", "name", "12", "0.", "\n  ", "\\u00",
                           "\xC3\xA4", "\xE2\x82", "\xAC", "aa", "ab", "long plain text", "a\"b"}) {
    tokens.emplace_back(text);
  }
  tokens.emplace_back();
  tokens.emplace_back();
  const auto end = static_cast<int32_t>(tokens.size()) - 2;
  return std::make_shared<const Vocabulary>(tokens, std::vector<int32_t>{end});
}

Walk CheckRandomWalk(const std::shared_ptr<const Grammar>& grammar, std::mt19937& random, int tokens) {
  const Vocabulary& vocabulary = grammar->vocabulary();
  Matcher matcher(grammar);
  Walk walk;
  for (int step = 0; step < tokens; ++step) {
    const Result<std::span<const uint64_t>> mask = matcher.Mask();
    if (!mask.ok()) {
      walk.failure = mask.error().message;
      return walk;
    }
    std::vector<int32_t> allowed;
    for (int32_t token = 0; token < vocabulary.size(); ++token) {
      const bool has = ((*mask)[static_cast<size_t>(token) / 64] >> (token % 64) & 1) != 0;
      const bool is_end = vocabulary.IsEnd(token);
      Result<bool> follows = is_end ? matcher.CanEnd() : false;
      if (!is_end && !vocabulary.bytes(token).empty()) follows = Follows(matcher, token);
      if (!follows.ok()) {
        walk.failure = follows.error().message;
        return walk;
      }
      if (has != *follows) {
        walk.broken = fmt::format("after {} bytes token {} is {} by the mask", walk.text.size(), token,
                                  has ? "allowed" : "not allowed");
        return walk;
      }
      if (has && !is_end) allowed.push_back(token);
    }
    if (allowed.empty() || (matcher.CanEnd() && random() % 16 == 0)) break;
    const int32_t token = allowed[random() % allowed.size()];
    if (Status accepted = matcher.Accept(token); !accepted.ok()) {
      walk.broken = "an allowed token is not accepted: " + accepted.error().message;
      return walk;
    }
    walk.text += vocabulary.bytes(token);
  }
  walk.whole = matcher.CanEnd();
  return walk;
}

}  // namespace tenfold::grammar
