// The tokenizers against published vocabularies and their published vectors, and against hostile text at full size.
// The data lies outside the repository: TENFOLD_TEST_DATA names its folder.
#include <gtest/gtest.h>
#include <time.h>

#include <boost/json/src.hpp>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "gguf/file.h"
#include "gguf/writer.h"
#include "tokenizer/test_vocabulary.h"
#include "tokenizer/tokenizer.h"

namespace tenfold::tokenizer {
namespace {

std::optional<std::string> ReadData(const std::string& name) {
  const char* folder = std::getenv("TENFOLD_TEST_DATA");
  if (folder == nullptr) return std::nullopt;
  std::ifstream in(std::string(folder) + "/" + name, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// Sanitizers and unoptimised builds are about ten times slower; there the point is the memory, not the time.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TENFOLD_SLOW_BUILD
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
#define TENFOLD_SLOW_BUILD
#endif
#ifdef TENFOLD_SLOW_BUILD
constexpr int64_t kSlowdown = 10;
constexpr size_t kHostileBytes = size_t{1} << 18;
#else
constexpr int64_t kSlowdown = 1;
constexpr size_t kHostileBytes = size_t{1} << 20;
#endif

// What this thread computed, in microseconds: a busy machine must not make a test of speed fail.
int64_t ThreadCpuUs() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000;
}

std::unique_ptr<Tokenizer> FromGgufBytes(const std::string& bytes) {
  const auto file = gguf::File::Parse(std::span(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
  if (!file.ok()) {
    ADD_FAILURE() << file.error().message;
    return nullptr;
  }
  auto made = Tokenizer::FromGguf(*file);
  if (!made.ok()) {
    ADD_FAILURE() << made.error().message;
    return nullptr;
  }
  return std::move(made).value();
}

// Qwen3's vocabulary as a GGUF file of 151,936 tokens, padding included; nothing when the data is not there.
std::optional<std::string> QwenGguf() {
  const auto vocab = ReadData("tokenizer/qwen2/vocab.json");
  const auto merges_text = ReadData("tokenizer/qwen2/merges.txt");
  const auto added = ReadData("tokenizer/qwen2/qwen3_added_tokens.json");
  if (!vocab || !merges_text || !added) return std::nullopt;
  std::vector<std::string> tokens(151936);
  std::vector<int32_t> types(tokens.size(), static_cast<int32_t>(TokenType::kUnused));
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = "[PAD" + std::to_string(i) + "]";
  const boost::json::object ids = boost::json::parse(*vocab).as_object();
  for (const auto& [text, id] : ids) {
    tokens[id.as_int64()] = std::string(text);
    types[id.as_int64()] = static_cast<int32_t>(TokenType::kNormal);
  }
  const boost::json::array added_tokens = boost::json::parse(*added).as_array();
  for (const auto& token : added_tokens) {
    const auto id = token.at("id").as_int64();
    tokens[id] = token.at("content").as_string().c_str();
    types[id] = static_cast<int32_t>(token.at("special").as_bool() ? TokenType::kControl : TokenType::kUserDefined);
  }
  std::vector<std::string> merges;
  std::istringstream lines(*merges_text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && !line.starts_with("#version")) merges.push_back(line);
  }
  gguf::Writer writer;
  writer.Set("tokenizer.ggml.model", std::string("gpt2"));
  writer.Set("tokenizer.ggml.pre", std::string("qwen2"));
  writer.Set("tokenizer.ggml.tokens", gguf::ArrayValue(tokens));
  writer.Set("tokenizer.ggml.token_type", gguf::ArrayValue(types));
  writer.Set("tokenizer.ggml.merges", gguf::ArrayValue(merges));
  writer.Set("tokenizer.ggml.eos_token_id", uint32_t{151645});
  writer.Set("tokenizer.ggml.bos_token_id", uint32_t{151643});
  writer.Set("tokenizer.ggml.add_bos_token", false);
  const std::vector<uint8_t> bytes = writer.Serialize();
  return std::string(bytes.begin(), bytes.end());
}

const Tokenizer* Qwen() {
  static const std::unique_ptr<Tokenizer> kQwen = [] {
    const auto bytes = QwenGguf();
    return bytes ? FromGgufBytes(*bytes) : nullptr;
  }();
  return kQwen.get();
}

TEST(QwenTest, EveryPublishedVector) {
  const auto vectors = ReadData("tests/qwen_tokenizer_vectors.json");
  if (Qwen() == nullptr || !vectors) GTEST_SKIP() << "TENFOLD_TEST_DATA has no Qwen vocabulary and vectors";
  const boost::json::array cases = boost::json::parse(*vectors).as_array();
  EXPECT_GE(cases.size(), 50u);
  for (const auto& c : cases) {
    const std::string text(c.at("text").as_string());
    const auto ids = boost::json::value_to<std::vector<TokenId>>(c.at("ids"));
    EXPECT_EQ(Qwen()->Encode(text, {.parse_special = c.at("parse_special").as_bool()}), ids) << text;
    EXPECT_EQ(Qwen()->Decode(ids, true), text);
  }
}

TEST(QwenTest, DecomposedTextGivesTheTokensOfComposedText) {
  if (Qwen() == nullptr) GTEST_SKIP() << "TENFOLD_TEST_DATA has no Qwen vocabulary";
  const char* pairs[][2] = {{"Fu\u0308hrer", "F\u00FChrer"},
                            {"Cu\u031B\u0309a Vie\u0323\u0302t", "C\u1EEDa Vi\u1EC7t"},
                            {"Cu\u0309\u031Ba", "C\u1EEDa"},
                            {"\u1112\u1161\u11AB\u1100\u116E\u11A8", "\uD55C\uAD6D"},
                            {"5 \u212B, 3 \u2126", "5 \u00C5, 3 \u03A9"},
                            {"e\u0301<|im_end|>e\u0301", "\u00E9<|im_end|>\u00E9"}};
  for (const auto& [decomposed, composed] : pairs) {
    EXPECT_EQ(Qwen()->Encode(decomposed, {.parse_special = true}), Qwen()->Encode(composed, {.parse_special = true}))
        << composed;
  }
  EXPECT_EQ(Qwen()->Encode("Cu\u031B\u0309a Vie\u0323\u0302t", {}), (std::vector<TokenId>{34, 90063, 128324}));
}

TEST(QwenTest, ChatMarkup) {
  if (Qwen() == nullptr) GTEST_SKIP() << "TENFOLD_TEST_DATA has no Qwen vocabulary";
  EXPECT_EQ(Qwen()->Encode("<|im_start|>user\nHi<think><|im_end|>", {.parse_special = true}),
            (std::vector<TokenId>{151644, 872, 198, 13048, 151667, 151645}));
  EXPECT_TRUE(Qwen()->IsEndOfGeneration(151645));
  EXPECT_TRUE(Qwen()->IsEndOfGeneration(151643));
  EXPECT_FALSE(Qwen()->IsEndOfGeneration(Qwen()->Find("</s>")));  // an ordinary token of this vocabulary
}

// The server makes its tokenizer while a client waits for the load.
TEST(QwenTest, LoadsQuickly) {
  const auto bytes = QwenGguf();
  if (!bytes) GTEST_SKIP() << "TENFOLD_TEST_DATA has no Qwen vocabulary";
  const auto file = gguf::File::Parse(std::span(reinterpret_cast<const uint8_t*>(bytes->data()), bytes->size()));
  ASSERT_TRUE(file.ok());
  const int64_t start = ThreadCpuUs();
  const auto made = Tokenizer::FromGguf(*file);
  const int64_t took_us = ThreadCpuUs() - start;
  ASSERT_TRUE(made.ok()) << made.error().message;
  RecordProperty("from_gguf_us", std::to_string(took_us));
  EXPECT_LT(took_us, 400'000 * kSlowdown);
}

// Texts between "__ggml_vocab_test__" lines, and one line of ids for each.
std::vector<std::pair<std::string, std::vector<TokenId>>> ReadVectors(const std::string& inputs,
                                                                      const std::string& outputs) {
  std::vector<std::pair<std::string, std::vector<TokenId>>> vectors;
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::istringstream lines(outputs);
  for (size_t pos = 0; pos < inputs.size();) {
    const size_t end = inputs.find(separator, pos);
    if (end == std::string::npos) break;
    std::string line;
    EXPECT_TRUE(std::getline(lines, line)) << "text " << vectors.size();
    std::istringstream numbers(line);
    vectors.emplace_back(inputs.substr(pos, end - pos),
                         std::vector<TokenId>{std::istream_iterator<TokenId>(numbers), {}});
    pos = end + separator.size();
  }
  return vectors;
}

// A vocabulary file with .inp and .out beside it.
void CheckVectors(const std::string& name) {
  const auto bytes = ReadData("tests/" + name);
  const auto inputs = ReadData("tests/" + name + ".inp");
  const auto outputs = ReadData("tests/" + name + ".out");
  if (!bytes || !inputs || !outputs) GTEST_SKIP() << "TENFOLD_TEST_DATA has no tests/" << name << " with vectors";
  const auto tokenizer = FromGgufBytes(*bytes);
  ASSERT_NE(tokenizer, nullptr);
  const auto vectors = ReadVectors(*inputs, *outputs);
  for (const auto& [text, ids] : vectors) {
    EXPECT_EQ(tokenizer->Encode(text, {}), ids) << text;
    EXPECT_EQ(tokenizer->Decode(ids, false), text);
  }
  EXPECT_GE(vectors.size(), 40u);
}

TEST(LlamaSpmTest, EveryPublishedVector) { CheckVectors("ggml-vocab-llama-spm.gguf"); }
TEST(Gpt2Test, EveryPublishedVector) { CheckVectors("ggml-vocab-gpt-2.gguf"); }
TEST(Llama3Test, EveryPublishedVector) { CheckVectors("ggml-vocab-llama-bpe.gguf"); }

// Vectors say something about the cutting rules even without their vocabulary: a word has the same tokens wherever it
// stands, so words that make a text alone give away their tokens, and with them those of a text's one other word.
struct Deduced {
  int contradictions = 0;
  int explained = 0;  // texts all of whose words are known
};

Deduced Deduce(const std::vector<std::pair<std::string, std::vector<TokenId>>>& vectors, PreTokenizer kind) {
  Deduced deduced;
  std::map<std::string, std::vector<TokenId>> known;
  for (bool learned = true; learned && deduced.contradictions == 0;) {
    learned = false;
    deduced.explained = 0;
    for (const auto& [text, ids] : vectors) {
      std::vector<std::string> words;
      for (size_t pos = 0, end = 0; pos < text.size(); pos = end) {
        end = NextWord(kind, text, pos);
        words.push_back(text.substr(pos, end - pos));
      }
      size_t first = 0, last = words.size(), id_first = 0, id_last = ids.size();
      bool agrees = words.size() <= ids.size();
      for (; agrees && first < last && known.count(words[first]) > 0; ++first) {
        const std::vector<TokenId>& part = known[words[first]];
        agrees = part.size() <= id_last - id_first && std::equal(part.begin(), part.end(), ids.begin() + id_first);
        id_first += part.size();
      }
      for (; agrees && first < last && known.count(words[last - 1]) > 0; --last) {
        const std::vector<TokenId>& part = known[words[last - 1]];
        agrees = part.size() <= id_last - id_first &&
                 std::equal(part.rbegin(), part.rend(), ids.rbegin() + (ids.size() - id_last));
        id_last -= part.size();
      }
      agrees = agrees && last - first <= id_last - id_first && (first < last || id_first == id_last);
      if (!agrees) {
        ++deduced.contradictions;
      } else if (last - first == 1) {
        known[words[first]] = {ids.begin() + id_first, ids.begin() + id_last};
        learned = true;
      }
      deduced.explained += agrees && last - first <= 1;
    }
  }
  return deduced;
}

TEST(Llama3Test, PublishedVectorsFitTheRulesWithoutTheirVocabulary) {
  const auto inputs = ReadData("tests/ggml-vocab-llama-bpe.gguf.inp");
  const auto outputs = ReadData("tests/ggml-vocab-llama-bpe.gguf.out");
  if (!inputs || !outputs) GTEST_SKIP() << "TENFOLD_TEST_DATA has no tests/ggml-vocab-llama-bpe.gguf.inp and .out";
  const auto vectors = ReadVectors(*inputs, *outputs);
  ASSERT_GE(vectors.size(), 40u);
  const Deduced llama3 = Deduce(vectors, PreTokenizer::kLlama3);
  EXPECT_EQ(llama3.contradictions, 0);
  EXPECT_GE(llama3.explained, 35);
  // GPT-2's longer words contradict nothing here.
  for (const PreTokenizer other : {PreTokenizer::kQwen2, PreTokenizer::kSmolLm, PreTokenizer::kDefault}) {
    EXPECT_GT(Deduce(vectors, other).contradictions, 0) << PatternOf(other);
  }
}

TEST(Stories260KTest, GoldenTextDecodes) {
  const auto bytes = ReadData("models/stories260K/stories260K.gguf");
  const auto golden = ReadData("models/stories260K/golden_greedy.json");
  if (!bytes || !golden) GTEST_SKIP() << "TENFOLD_TEST_DATA has no models/stories260K";
  const auto tokenizer = FromGgufBytes(*bytes);
  ASSERT_NE(tokenizer, nullptr);
  const auto json = boost::json::parse(*golden);
  const auto ids = boost::json::value_to<std::vector<TokenId>>(json.at("ids"));
  EXPECT_TRUE(tokenizer->Decode(ids, false).starts_with("Once upon a time, there was a little girl"));
  EXPECT_EQ(tokenizer->Encode(tokenizer->Decode(ids, false), {.add_special = true}), ids);
}

std::string Repeated(std::string_view unit) {
  std::string text;
  while (text.size() < kHostileBytes) text += unit;
  return text;
}

struct HostileText {
  const char* name;
  std::string text;
};

std::vector<HostileText> HostileTexts() {
  return {{"one letter", Repeated("a")},
          {"spaces", Repeated(" ")},
          {"newlines", Repeated("\n")},
          {"spaces and newlines", Repeated("  \n")},
          {"combining marks", "e" + Repeated("\u0301")},
          {"disordered marks", "e" + Repeated("\u0301\u0323")},
          {"digits", Repeated("7")},
          {"invalid bytes", Repeated("\xFF\xC3(\xE2\x82\xF0\x9F\x98"
                                     "a\xED\xA0\x80")},
          {"truncated leads", Repeated("\xF0\x9F")},
          {"beginnings of special tokens", Repeated("<|im_start|")},
          {"exclamation marks", Repeated("!")},
          {"two letters", Repeated("ab")},
          {"one ideograph", Repeated("\u4E2D")},
          {"words", Repeated("It's the 3rd hello, of world! ")}};
}

void CheckHostile(const Tokenizer& tokenizer, const char* vocabulary) {
  for (const HostileText& hostile : HostileTexts()) {
    const int64_t start = ThreadCpuUs();
    const std::vector<TokenId> ids = tokenizer.Encode(hostile.text, {.parse_special = true});
    const int64_t took_us = ThreadCpuUs() - start;
    EXPECT_LT(took_us, 2'000'000 * kSlowdown) << vocabulary << ", " << hostile.name;
    testing::Test::RecordProperty(std::string(vocabulary) + ", " + hostile.name + ", us", std::to_string(took_us));
    if (std::string_view(hostile.name) != "disordered marks" && std::string_view(hostile.name) != "combining marks") {
      EXPECT_TRUE(tokenizer.Decode(ids, true) == hostile.text) << vocabulary << ", " << hostile.name;
    }
  }
}

TEST(HostileTextTest, AMegabyteWithSmallVocabularies) {
  CheckHostile(*TestBpeVocabulary(PreTokenizer::kQwen2).Make(), "small bpe");
  CheckHostile(*TestSpmVocabulary().Make(), "small spm");
}

TEST(HostileTextTest, AMegabyteWithPublishedVocabularies) {
  const auto spm = ReadData("tests/ggml-vocab-llama-spm.gguf");
  if (Qwen() == nullptr || !spm) GTEST_SKIP() << "TENFOLD_TEST_DATA has no Qwen and llama-spm vocabularies";
  CheckHostile(*Qwen(), "qwen");
  const auto llama = FromGgufBytes(*spm);
  ASSERT_NE(llama, nullptr);
  CheckHostile(*llama, "llama spm");
}

}  // namespace
}  // namespace tenfold::tokenizer
