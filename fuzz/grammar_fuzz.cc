// GBNF: any bytes give a grammar or a sentence, within limits of time and memory; and every mask of a grammar is what
// following each token's bytes says.
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include "base/check.h"
#include "grammar/gbnf.h"
#include "grammar/mask_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tenfold::grammar;
  if (size > 4096) return 0;
  static const std::shared_ptr<const Vocabulary> vocabulary = SmallVocabulary();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Syntax syntax;
  const tenfold::Result<ExprId> root = ParseGbnf(text, syntax);
  if (!root.ok()) {
    TENFOLD_CHECK(!root.error().message.empty(), "a refusal says why");
    return 0;
  }
  // Little memory, so that states are forgotten on the way.
  const auto grammar = Grammar::Compile(syntax, *root, vocabulary, /*max_space_bytes=*/50'000);
  if (!grammar.ok()) return 0;
  std::mt19937 random(static_cast<uint32_t>(size));
  const Walk walk = CheckRandomWalk(*grammar, random, 12);
  TENFOLD_CHECK(walk.broken.empty(), walk.broken.c_str());
  return 0;
}
