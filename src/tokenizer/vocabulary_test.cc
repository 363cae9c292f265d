// What the reader of tokenizer.ggml.* accepts, and that every refusal names its key.
#include "tokenizer/vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "gguf/file.h"
#include "gguf/test_model.h"
#include "gguf/writer.h"
#include "tokenizer/test_vocabulary.h"

namespace tenfold::tokenizer {
namespace {

using gguf::ArrayValue;
using testing::HasSubstr;

gguf::File Parsed(const std::function<void(gguf::Writer&)>& change, const TestVocabulary& v) {
  gguf::Writer writer;
  const bool bpe = v.rest.model == TokenizerModel::kBpe;
  writer.Set("tokenizer.ggml.model", std::string(bpe ? "gpt2" : "llama"));
  if (bpe) writer.Set("tokenizer.ggml.pre", std::string("qwen2"));
  if (bpe) writer.Set("tokenizer.ggml.merges", ArrayValue(v.merges));
  if (!bpe) writer.Set("tokenizer.ggml.scores", ArrayValue(v.rest.scores));
  writer.Set("tokenizer.ggml.tokens", ArrayValue(v.tokens));
  writer.Set("tokenizer.ggml.token_type", ArrayValue(std::vector<int32_t>(v.rest.types.begin(), v.rest.types.end())));
  change(writer);
  auto file = gguf::File::Parse(writer.Serialize());
  EXPECT_TRUE(file.ok()) << (file.ok() ? "" : file.error().message);
  return std::move(file).value();
}

std::string ErrorOf(const std::function<void(gguf::Writer&)>& change,
                    const TestVocabulary& v = TestBpeVocabulary(PreTokenizer::kQwen2)) {
  const auto made = Tokenizer::FromGguf(Parsed(change, v));
  return made.ok() ? "no error" : made.error().message;
}

std::string ErrorOf(const TestVocabulary& v) {
  const auto made = v.TryMake();
  return made.ok() ? "no error" : made.error().message;
}

TEST(VocabularyTest, ReadsABpeFile) {
  const TestVocabulary v = TestBpeVocabulary(PreTokenizer::kQwen2);
  const auto tokenizer = Tokenizer::FromGguf(Parsed(
      [&](gguf::Writer& w) {
        w.Set("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(*v.rest.bos));
        w.Set("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(*v.rest.eos));
        w.Set("tokenizer.ggml.add_bos_token", true);
        w.Set("tokenizer.ggml.eot_token_id", uint32_t{7});
      },
      v));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  const Tokenizer& t = **tokenizer;
  EXPECT_EQ(t.vocab_size(), static_cast<TokenId>(v.tokens.size()));
  EXPECT_EQ(t.bos(), t.Find("<|endoftext|>"));
  EXPECT_EQ(t.eos(), t.Find("<|im_end|>"));
  EXPECT_TRUE(t.adds_bos());
  EXPECT_EQ(t.Find("<|im_starter|>"), kNoToken);
  for (const TokenId id : {t.eos(), t.bos(), TokenId{7}}) EXPECT_TRUE(t.IsEndOfGeneration(id)) << id;
  for (const TokenId id : {t.Find("<|im_start|>"), TokenId{8}, kNoToken, t.vocab_size()}) {
    EXPECT_FALSE(t.IsEndOfGeneration(id)) << id;
    EXPECT_EQ(t.IsControl(id), id == t.Find("<|im_start|>"));
  }
}

TEST(VocabularyTest, ReadsTheTinyTestModels) {
  for (const char* architecture : {"qwen3", "llama"}) {
    const auto bytes = gguf::MakeTinyModel({.architecture = architecture});
    const auto file = gguf::File::Parse(bytes);
    ASSERT_TRUE(file.ok()) << file.error().message;
    const auto tokenizer = Tokenizer::FromGguf(*file);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
    EXPECT_TRUE((*tokenizer)->IsEndOfGeneration((*tokenizer)->eos()));
    EXPECT_EQ((*tokenizer)->Decode((*tokenizer)->Encode("tiny \u4E2D", {}), false), "tiny \u4E2D");
  }
}

TEST(VocabularyTest, SpmIdsHaveDefaultsAndMinusOneMeansNone) {
  const auto tokenizer = Tokenizer::FromGguf(Parsed(
      [](gguf::Writer& w) {
        w.Set("tokenizer.ggml.eot_token_id", uint32_t{0xFFFFFFFF});
        w.Set("tokenizer.ggml.eom_token_id", int32_t{-1});
      },
      TestSpmVocabulary()));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_EQ((*tokenizer)->bos(), 1);
  EXPECT_EQ((*tokenizer)->eos(), 2);
  EXPECT_TRUE((*tokenizer)->adds_bos());
  EXPECT_TRUE((*tokenizer)->IsEndOfGeneration(2));
  EXPECT_EQ((*tokenizer)->Encode("the", {}), std::vector<TokenId>{(*tokenizer)->Find("▁the")});
}

TEST(VocabularyTest, AnOrdinaryStrikeThroughTagEndsNothing) {
  TestVocabulary v = TestBpeVocabulary(PreTokenizer::kQwen2);
  const TokenId id = v.Add("</s>", TokenType::kNormal);
  EXPECT_FALSE(v.Make()->IsEndOfGeneration(id));
  v.rest.types.back() = static_cast<int64_t>(TokenType::kControl);
  EXPECT_TRUE(v.Make()->IsEndOfGeneration(id));
}

TEST(VocabularyTest, EosIsAddedWhereTheFileSaysSo) {
  TestVocabulary v = TestBpeVocabulary(PreTokenizer::kQwen2);
  v.rest.add_eos = true;
  const auto tokenizer = v.Make();
  EXPECT_EQ(tokenizer->Encode("a", {.add_special = true}).back(), tokenizer->eos());
  EXPECT_EQ(tokenizer->Encode("a", {}).back(), TokenId{'a'});
  v.rest.eos.reset();
  EXPECT_THAT(ErrorOf(v), HasSubstr("tokenizer.ggml.eos_token_id is missing"));
}

TEST(VocabularyTest, EndsThatFilesDoNotNameAreKnownByTheirText) {
  TestVocabulary v = TestBpeVocabulary(PreTokenizer::kLlama3);
  const TokenId eom = v.Add("<|eom_id|>", TokenType::kNormal);  // as some converters write it
  const TokenId deepseek = v.Add("<\uFF5Cend\u2581of\u2581sentence\uFF5C>", TokenType::kControl);
  const TokenId header = v.Add("<|start_header_id|>", TokenType::kControl);
  const auto tokenizer = v.Make();
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(eom));
  EXPECT_TRUE(tokenizer->IsControl(eom));
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(deepseek));
  EXPECT_FALSE(tokenizer->IsEndOfGeneration(header));
}

TEST(VocabularyTest, WithoutPreTheDefaultRulesHold) {
  const auto words_of = [](const std::string& pre) {
    const TestVocabulary v = TestBpeVocabulary(PreTokenizer::kQwen2);
    gguf::Writer w;
    w.Set("tokenizer.ggml.model", std::string("gpt2"));
    if (!pre.empty()) w.Set("tokenizer.ggml.pre", pre);
    w.Set("tokenizer.ggml.tokens", gguf::ArrayValue(v.tokens));
    w.Set("tokenizer.ggml.merges", gguf::ArrayValue(v.merges));
    const auto file = gguf::File::Parse(w.Serialize());
    const auto read = ReadVocabulary(*file);
    EXPECT_TRUE(read.ok()) << read.error().message;
    return read.ok() ? read->pre : PreTokenizer::kGpt2;
  };
  EXPECT_EQ(words_of(""), PreTokenizer::kDefault);
  EXPECT_EQ(words_of("default"), PreTokenizer::kDefault);
  EXPECT_EQ(words_of("smaug-bpe"), PreTokenizer::kSmaug);
}

TEST(VocabularyTest, RefusesByNameWhatItDoesNotImplement) {
  EXPECT_THAT(ErrorOf([](gguf::Writer& w) { w.Set("tokenizer.ggml.model", std::string("t5")); }),
              HasSubstr("tokenizer.ggml.model \"t5\" is not supported"));
  EXPECT_THAT(ErrorOf([](gguf::Writer& w) { w.Set("tokenizer.ggml.pre", std::string("poro\n")); }),
              HasSubstr("tokenizer.ggml.pre \"poro\\x0a\" is not supported"));
  EXPECT_THAT(ErrorOf([](gguf::Writer& w) { w.Set("tokenizer.ggml.pre", std::string("longer-list")); }),
              HasSubstr("qwen2, deepseek-r1-qwen, "));
}

TEST(VocabularyTest, MissingOrMistypedKeysAreNamed) {
  const auto empty = gguf::File::Parse(gguf::Writer().Serialize());
  ASSERT_TRUE(empty.ok());
  EXPECT_THAT(Tokenizer::FromGguf(*empty).error().message, HasSubstr("tokenizer.ggml.model"));
  EXPECT_THAT(ErrorOf([](gguf::Writer& w) { w.Set("tokenizer.ggml.tokens", uint32_t{1}); }),
              HasSubstr("tokenizer.ggml.tokens"));
  EXPECT_THAT(ErrorOf([](gguf::Writer& w) { w.Set("tokenizer.ggml.merges", uint32_t{1}); }),
              HasSubstr("tokenizer.ggml.merges"));
  EXPECT_THAT(ErrorOf([](gguf::Writer& w) { w.Set("tokenizer.ggml.scores", std::string("x")); }, TestSpmVocabulary()),
              HasSubstr("tokenizer.ggml.scores"));
  EXPECT_THAT(ErrorOf([](gguf::Writer& w) { w.Set("tokenizer.ggml.add_bos_token", uint32_t{1}); }),
              HasSubstr("tokenizer.ggml.add_bos_token"));
  EXPECT_THAT(ErrorOf([](gguf::Writer& w) { w.Set("tokenizer.ggml.bos_token_id", std::string("1")); }),
              HasSubstr("tokenizer.ggml.bos_token_id"));
}

TEST(VocabularyTest, IdsOutOfRange) {
  for (const char* key : {"bos", "eos", "eot", "eom", "unknown"}) {
    const std::string name = std::string("tokenizer.ggml.") + key + "_token_id";
    EXPECT_THAT(ErrorOf([&](gguf::Writer& w) { w.Set(name, uint32_t{100000}); }), HasSubstr(name + " is 100000"));
  }
  TestVocabulary v = TestBpeVocabulary(PreTokenizer::kQwen2);
  v.rest.bos.reset();
  v.rest.add_bos = true;
  EXPECT_THAT(ErrorOf(v), HasSubstr("tokenizer.ggml.bos_token_id is missing"));
}

TEST(VocabularyTest, ListsThatContradictEachOther) {
  TestVocabulary v = TestBpeVocabulary(PreTokenizer::kQwen2);
  v.tokens.emplace_back("one more");
  EXPECT_THAT(ErrorOf(v), HasSubstr("tokenizer.ggml.token_type has"));
  v.rest.types.push_back(1);
  v.tokens.back() = v.tokens[280];
  EXPECT_THAT(ErrorOf(v), HasSubstr("tokenizer.ggml.tokens holds the same text for tokens"));
  v.tokens.back() = "other";
  EXPECT_EQ(ErrorOf(v), "no error");
  v.rest.types.back() = 7;
  EXPECT_THAT(ErrorOf(v), HasSubstr("tokenizer.ggml.token_type["));
  v.rest.types.back() = -1;
  EXPECT_THAT(ErrorOf(v), HasSubstr("is -1, not 0..6"));
  v.tokens.clear();
  EXPECT_THAT(ErrorOf(v), HasSubstr("tokenizer.ggml.tokens is empty"));
}

TEST(VocabularyTest, SpecialTokensHaveABoundedLength) {
  TestVocabulary v = TestBpeVocabulary(PreTokenizer::kQwen2);
  v.Add(std::string(512, 'x'), TokenType::kUserDefined);
  EXPECT_EQ(ErrorOf(v), "no error");
  v.Add(std::string(513, 'x'), TokenType::kUserDefined);
  EXPECT_THAT(ErrorOf(v), HasSubstr("tokenizer.ggml.tokens[" + std::to_string(v.tokens.size() - 1) + "]"));
  v.rest.types.back() = static_cast<int64_t>(TokenType::kNormal);
  EXPECT_EQ(ErrorOf(v), "no error");
}

TEST(VocabularyTest, BadMerges) {
  for (const char* merge : {"", " ", "nospace", "a ", " a", "a nothere", "nothere a", "q z"}) {
    TestVocabulary v = TestBpeVocabulary(PreTokenizer::kQwen2);
    const std::string key = "tokenizer.ggml.merges[" + std::to_string(v.merges.size()) + "]";
    v.merges.emplace_back(merge);
    EXPECT_THAT(ErrorOf(v), HasSubstr(key)) << merge;
  }
}

TEST(VocabularyTest, EveryByteNeedsAToken) {
  TestVocabulary v = TestBpeVocabulary(PreTokenizer::kQwen2);
  v.rest.types[0xE9] = static_cast<int64_t>(TokenType::kControl);
  EXPECT_THAT(ErrorOf(v), HasSubstr("byte 0xe9"));
  TestVocabulary spm = TestSpmVocabulary();
  spm.tokens[3 + 0x41] = "<0x4G>";
  EXPECT_THAT(ErrorOf(spm), HasSubstr("tokenizer.ggml.token_type[68]"));
  spm.rest.types[3 + 0x41] = static_cast<int64_t>(TokenType::kNormal);
  EXPECT_EQ(ErrorOf(spm), "no error");  // the unknown token serves
  spm.rest.unknown.reset();
  EXPECT_THAT(ErrorOf(spm), HasSubstr("tokenizer.ggml.unknown_token_id"));
}

TEST(VocabularyTest, BadScores) {
  TestVocabulary v = TestSpmVocabulary();
  v.rest.scores[300] = std::nanf("");
  EXPECT_THAT(ErrorOf(v), HasSubstr("tokenizer.ggml.scores[300]"));
  v.rest.scores.resize(300);
  EXPECT_THAT(ErrorOf(v), HasSubstr("tokenizer.ggml.scores has 300 entries"));
}

}  // namespace
}  // namespace tenfold::tokenizer
