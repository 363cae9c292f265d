// JSON schemas: any JSON gives a grammar or a sentence, within limits; and a text that the grammar calls whole is JSON.
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include "base/check.h"
#include "grammar/mask_check.h"
#include "grammar/schema.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tenfold::grammar;
  namespace json = boost::json;
  if (size > 8192) return 0;
  static const std::shared_ptr<const Vocabulary> vocabulary = SmallVocabulary();
  json::error_code error;
  const json::value schema = json::parse(std::string_view(reinterpret_cast<const char*>(data), size), error);
  if (error) return 0;
  Syntax syntax;
  const tenfold::Result<ExprId> root = AddSchema(syntax, schema);
  if (!root.ok()) {
    TENFOLD_CHECK(root.error().message.starts_with("#"), "a refusal begins with where");
    return 0;
  }
  const auto grammar = Grammar::Compile(syntax, *root, vocabulary, /*max_space_bytes=*/200'000);
  if (!grammar.ok()) return 0;
  std::mt19937 random(static_cast<uint32_t>(size));
  const Walk walk = CheckRandomWalk(*grammar, random, 24);
  TENFOLD_CHECK(walk.broken.empty(), walk.broken.c_str());
  if (walk.whole) {
    json::parse_options options;
    options.max_depth = 200;
    json::parse(walk.text, error, {}, options);
    TENFOLD_CHECK(!error, walk.text.c_str());
  }
  return 0;
}
