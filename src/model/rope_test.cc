#include "model/rope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "gguf/writer.h"

namespace tenfold::model {
namespace {

using ::testing::HasSubstr;

gguf::File FileWith(const std::vector<std::pair<std::string, gguf::Value>>& values) {
  gguf::Writer writer;
  for (const auto& [key, value] : values) writer.Set("llama.rope." + key, value);
  return gguf::File::Parse(writer.Serialize()).value();
}

RopeScaling Read(const std::vector<std::pair<std::string, gguf::Value>>& values) {
  auto read = ReadRopeScaling(FileWith(values), "llama.");
  EXPECT_TRUE(read.ok()) << read.error().message;
  return read.ok() ? read.value() : RopeScaling{};
}

double Plain(int i) { return std::pow(10000.0, -2.0 * i / 64); }

TEST(Rope, WithoutKeysTheFrequenciesArePlain) {
  const RopeTable table = MakeRopeTable(Read({}), 64, 10000, 2048, nullptr);
  ASSERT_EQ(table.frequencies.size(), 32u);
  for (int i = 0; i < 32; ++i) EXPECT_DOUBLE_EQ(table.frequencies[i], Plain(i));
  EXPECT_EQ(table.magnitude, 1);
}

TEST(Rope, LinearDividesPositionsUnderEitherKey) {
  for (const char* key : {"scaling.factor", "scale_linear"}) {
    const RopeTable table = MakeRopeTable(Read({{key, 4.0F}}), 64, 10000, 2048, nullptr);
    for (int i = 0; i < 32; ++i) EXPECT_DOUBLE_EQ(table.frequencies[i], Plain(i) / 4) << key;
    EXPECT_EQ(table.magnitude, 1);
  }
  EXPECT_EQ(Read({{"scaling.factor", 0.0F}}).factor, 1);  // some converters write 0 for "not scaled"
  EXPECT_EQ(Read({{"scaling.type", std::string("none")}, {"scaling.factor", 4.0F}}).factor, 1);
}

// The numbers are those of transformers' _compute_yarn_parameters (modeling_rope_utils.py) in float64 for dim 64, base
// 10000, factor 4, original_max_position_embeddings 2048, beta_fast 32, beta_slow 1: the correction range is [8, 21].
TEST(Rope, YarnKeepsFastPairsDividesSlowOnesAndBlendsBetween) {
  const RopeScaling s = Read({{"scaling.type", std::string("yarn")},
                              {"scaling.factor", 4.0F},
                              {"scaling.original_context_length", uint32_t{2048}}});
  const RopeTable table = MakeRopeTable(s, 64, 10000, 8192, nullptr);
  for (int i = 0; i <= 8; ++i) EXPECT_DOUBLE_EQ(table.frequencies[i], Plain(i)) << i;
  for (int i = 21; i < 32; ++i) EXPECT_DOUBLE_EQ(table.frequencies[i], Plain(i) / 4) << i;
  EXPECT_NEAR(table.frequencies[9], 0.0706631081870968, 1e-12);
  EXPECT_NEAR(table.frequencies[14], 0.011627211527177573, 1e-12);
  EXPECT_NEAR(table.frequencies[20], 0.0009730085108210398, 1e-12);
  EXPECT_NEAR(table.magnitude, 1.1386294361119891, 1e-12);  // 0.1 ln 4 + 1
}

TEST(Rope, YarnKeysChangeWhatTheyName) {
  const std::vector<std::pair<std::string, gguf::Value>> base = {{"scaling.type", std::string("yarn")},
                                                                 {"scaling.factor", 4.0F}};
  const auto with = [&](const std::string& key, gguf::Value value) {
    auto values = base;
    values.emplace_back("scaling." + key, std::move(value));
    return MakeRopeTable(Read(values), 64, 10000, 2048, nullptr);
  };
  EXPECT_NEAR(with("attn_factor", 0.5F).magnitude, 0.5 * 1.1386294361119891, 1e-12);
  const RopeTable interpolated = with("yarn_ext_factor", 0.0F);
  EXPECT_DOUBLE_EQ(interpolated.frequencies[0], 0.25);
  EXPECT_EQ(interpolated.magnitude, 1);
  const RopeTable all_kept = with("yarn_beta_slow", 1e-3F);
  EXPECT_GT(all_kept.frequencies[31], Plain(31) / 4);
  const RopeTable fewer_kept = with("yarn_beta_fast", 64.0F);
  EXPECT_LT(fewer_kept.frequencies[8], Plain(8));
}

TEST(Rope, FactorsDivideFrequencies) {
  std::vector<float> factors(32, 1.0F);
  factors[31] = 8.0F;
  factors[20] = 2.5F;
  const RopeTable table = MakeRopeTable(RopeScaling{}, 64, 10000, 2048, factors.data());
  EXPECT_DOUBLE_EQ(table.frequencies[0], 1);
  EXPECT_DOUBLE_EQ(table.frequencies[20], Plain(20) / 2.5);
  EXPECT_DOUBLE_EQ(table.frequencies[31], Plain(31) / 8);
}

TEST(Rope, WhatIsUnknownOrAbsurdIsRefusedByKey) {
  const auto refused = [](const std::string& key, gguf::Value value, ErrorCode code, const std::string& mentions) {
    const auto read = ReadRopeScaling(FileWith({{key, std::move(value)}}), "llama.");
    ASSERT_FALSE(read.ok()) << key;
    EXPECT_EQ(read.error().code, code) << read.error().message;
    EXPECT_THAT(read.error().message, HasSubstr("llama.rope." + key));
    EXPECT_THAT(read.error().message, HasSubstr(mentions));
  };
  refused("scaling.type", std::string("longrope"), ErrorCode::kUnsupported, "longrope");
  refused("scaling.yarn_log_multiplier", 0.1F, ErrorCode::kUnsupported, "only 0 is");
  refused("scaling.yarn_attn_factor", 2.0F, ErrorCode::kUnsupported, "only 1 is");
  refused("scaling.yarn_ext_factor", 1.0F, ErrorCode::kUnsupported, "linear");
  for (const float factor : {-1.0F, 1e9F, 1e-6F, NAN, INFINITY}) {
    refused("scaling.factor", factor, ErrorCode::kCorrupt, "expected");
  }
  refused("scaling.attn_factor", NAN, ErrorCode::kCorrupt, "expected");
  refused("scaling.yarn_beta_fast", 0.0F, ErrorCode::kCorrupt, "expected");
  refused("scaling.yarn_beta_slow", -2.0F, ErrorCode::kCorrupt, "expected");
  refused("scaling.original_context_length", uint32_t{1} << 30, ErrorCode::kCorrupt, "expected");
}

}  // namespace
}  // namespace tenfold::model
