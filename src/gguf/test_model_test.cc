#include "gguf/test_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "gguf/file.h"
#include "tensor/dequantize.h"

namespace tenfold::gguf {
namespace {

using tensor::DType;
using ::testing::ElementsAre;

// The root mean square of a tensor's weights.
double Rms(const std::vector<uint8_t>& bytes, const TensorInfo& info) {
  uint64_t elems = 1;
  for (const uint64_t dim : info.dims) elems *= dim;
  std::vector<float> weights(elems);
  tensor::DequantizeRow(info.type, bytes.data() + info.offset_bytes, elems, weights.data());
  double sum = 0;
  for (const float w : weights) sum += static_cast<double>(w) * w;
  return std::sqrt(sum / static_cast<double>(elems));
}

TEST(TinyModel, EveryArchitectureAndTypeParsesWithSaneWeights) {
  for (const char* architecture : {"qwen2", "qwen3", "llama"}) {
    for (const char* types : {"f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q5_k", "q6_k", "q4_k_m"}) {
      SCOPED_TRACE(std::string(architecture) + " " + types);
      const std::vector<uint8_t> bytes =
          MakeTinyModel({.architecture = architecture, .types = types, .vocab = 300, .tied = false});
      const Result<File> file = File::Parse(bytes);
      ASSERT_TRUE(file.ok()) << file.error().message;
      EXPECT_EQ(file->GetString("general.architecture").value(), architecture);
      EXPECT_EQ(file->GetUint(std::string(architecture) + ".block_count").value(), 2u);
      EXPECT_EQ(file->FindTensor("blk.1.attn_q_norm.weight") != nullptr, std::string(architecture) == "qwen3");
      EXPECT_THAT(file->FindTensor("output.weight")->dims, ElementsAre(256u, 300u));
      EXPECT_THAT(file->FindTensor("blk.1.attn_k.weight")->dims, ElementsAre(256u, 128u));
      EXPECT_NEAR(Rms(bytes, *file->FindTensor("output.weight")), 1.0 / 16, 0.002);
      EXPECT_NEAR(Rms(bytes, *file->FindTensor("token_embd.weight")), 0.02, 0.001);
      EXPECT_NEAR(Rms(bytes, *file->FindTensor("blk.0.ffn_down.weight")), 0.5 / std::sqrt(512.0), 0.001);
      EXPECT_NEAR(Rms(bytes, *file->FindTensor("blk.0.ffn_norm.weight")), 1.0, 0.05);
    }
  }
}

TEST(TinyModel, Q4KMMixesTypesAsTheRecipeSays) {
  const std::vector<uint8_t> bytes =
      MakeTinyModel({.types = "q4_k_m", .n_layers = 8, .head_dim = 64, .ffn = 256, .vocab = 300});
  const File file = File::Parse(bytes).value();
  EXPECT_EQ(file.FindTensor("token_embd.weight")->type, DType::kQ6_K);  // tied: it is the output head
  EXPECT_EQ(file.FindTensor("output.weight"), nullptr);
  std::set<int> wide;
  for (int i = 0; i < 8; ++i) {
    const std::string blk = "blk." + std::to_string(i) + ".";
    EXPECT_EQ(file.FindTensor(blk + "attn_q.weight")->type, DType::kQ4_K);
    EXPECT_EQ(file.FindTensor(blk + "attn_v.weight")->type, file.FindTensor(blk + "ffn_down.weight")->type);
    if (file.FindTensor(blk + "attn_v.weight")->type == DType::kQ6_K) wide.insert(i);
  }
  EXPECT_EQ(wide, (std::set<int>{0, 3, 6, 7}));
}

TEST(TinyModel, OddWidthsFallBackAsInQuantisedFiles) {
  const std::pair<const char*, DType> kFallbacks[] = {{"q4_k_m", DType::kQ5_0}, {"q5_k", DType::kQ5_1},
                                                      {"q6_k", DType::kQ8_0},   {"q2_k", DType::kIQ4_NL},
                                                      {"q3_k", DType::kIQ4_NL}, {"iq4_xs", DType::kIQ4_NL}};
  for (const auto& [types, fallback] : kFallbacks) {
    const File file = File::Parse(MakeTinyModel({.types = types, .n_layers = 3, .ffn = 288, .vocab = 300})).value();
    EXPECT_EQ(file.FindTensor("blk.1.ffn_down.weight")->type, fallback) << types;
    EXPECT_NE(file.FindTensor("blk.1.ffn_up.weight")->type, fallback) << types;
  }
}

TEST(TinyModel, VocabularyCoversEveryByteAndEndsInControls) {
  const File file = File::Parse(MakeTinyModel({.vocab = 300})).value();
  const std::vector<std::string>& tokens = *file.GetStrings("tokenizer.ggml.tokens").value();
  ASSERT_EQ(tokens.size(), 300u);
  EXPECT_EQ(std::set<std::string>(tokens.begin(), tokens.end()).size(), 300u);
  EXPECT_EQ(tokens['A'], "A");
  EXPECT_EQ(tokens[' '], "Ġ");
  EXPECT_EQ(tokens['\n'], "Ċ");
  EXPECT_EQ(tokens[0xAD], "Ń");  // the soft hyphen, the last byte without a printable form
  EXPECT_EQ(tokens[256], "Ġt");
  EXPECT_EQ(tokens[297], "<|endoftext|>");
  EXPECT_EQ(tokens[298], "<|im_start|>");
  EXPECT_EQ(tokens[299], "<|im_end|>");
  const std::vector<int64_t> types = file.GetInts("tokenizer.ggml.token_type").value();
  ASSERT_EQ(types.size(), 300u);
  EXPECT_EQ(types[296], 1);
  EXPECT_EQ(types[297], 3);
  EXPECT_EQ(file.GetUint("tokenizer.ggml.eos_token_id").value(), 299u);
  EXPECT_EQ(file.GetUint("tokenizer.ggml.bos_token_id").value(), 297u);
  EXPECT_FALSE(file.GetBool("tokenizer.ggml.add_bos_token").value());
}

// Each merge joins two tokens of the vocabulary into a third.
TEST(TinyModel, MergesJoinKnownTokens) {
  const File file = File::Parse(MakeTinyModel({})).value();
  const std::vector<std::string>& list = *file.GetStrings("tokenizer.ggml.tokens").value();
  const std::set<std::string> tokens(list.begin(), list.end());
  const std::vector<std::string>& merges = *file.GetStrings("tokenizer.ggml.merges").value();
  EXPECT_GE(merges.size(), 2u);
  for (const std::string& merge : merges) {
    const size_t space = merge.find(' ');
    ASSERT_NE(space, std::string::npos);
    const std::string left = merge.substr(0, space), right = merge.substr(space + 1);
    EXPECT_TRUE(tokens.count(left) && tokens.count(right) && tokens.count(left + right)) << merge;
  }
}

TEST(TinyModel, TheSeedDecidesTheBytes) {
  EXPECT_EQ(MakeTinyModel({.seed = 4}), MakeTinyModel({.seed = 4}));
  EXPECT_NE(MakeTinyModel({.seed = 4}), MakeTinyModel({.seed = 5}));
}

TEST(TinyModelDeathTest, ContradictoryOptionsAreATestsBug) {
  EXPECT_DEATH(MakeTinyModel({.architecture = "mamba"}), "qwen3 or llama");
  EXPECT_DEATH(MakeTinyModel({.types = "q8_k"}), "types are");
  EXPECT_DEATH(MakeTinyModel({.types = "q6_k", .d_model = 120, .n_heads = 2, .head_dim = 60}),
               "whole number of blocks");
}

}  // namespace
}  // namespace tenfold::gguf
