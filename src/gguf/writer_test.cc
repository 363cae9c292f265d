#include "gguf/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace tenfold::gguf {
namespace {

using ::testing::ElementsAre;

// Every alternative of Value and ArrayValue, with extremes.
std::vector<std::pair<std::string, Value>> EveryKindOfValue() {
  return {
      {"u8", uint8_t{255}},
      {"i8", int8_t{-128}},
      {"u16", uint16_t{65535}},
      {"i16", int16_t{-32768}},
      {"u32", ~uint32_t{0}},
      {"i32", std::numeric_limits<int32_t>::min()},
      {"u64", ~uint64_t{0}},
      {"i64", std::numeric_limits<int64_t>::min()},
      {"f32", std::numeric_limits<float>::denorm_min()},
      {"f64", std::numeric_limits<double>::max()},
      {"yes", true},
      {"no", false},
      {"string", std::string("zero \0 inside and \xff", 19)},
      {"empty string", std::string()},
      {"u8s", ArrayValue(std::vector<uint8_t>{0, 255})},
      {"i8s", ArrayValue(std::vector<int8_t>{-128, 127})},
      {"u16s", ArrayValue(std::vector<uint16_t>{1, 65535})},
      {"i16s", ArrayValue(std::vector<int16_t>{-1})},
      {"u32s", ArrayValue(std::vector<uint32_t>{7})},
      {"i32s", ArrayValue(std::vector<int32_t>{-7, 8, 9})},
      {"u64s", ArrayValue(std::vector<uint64_t>{~uint64_t{0}})},
      {"i64s", ArrayValue(std::vector<int64_t>{-1})},
      {"f32s", ArrayValue(std::vector<float>{1.5f, -0.0f})},
      {"f64s", ArrayValue(std::vector<double>{0.1})},
      {"strings", ArrayValue(std::vector<std::string>{"", "b", std::string(300, 'c')})},
      {"bools", ArrayValue(std::vector<bool>{true, false, true})},
      {"no floats", ArrayValue(std::vector<float>{})},
      {"no strings", ArrayValue(std::vector<std::string>{})},
  };
}

TEST(Writer, EveryValueComesBackAsItWas) {
  Writer writer;
  for (const auto& [key, value] : EveryKindOfValue()) writer.Set(key, value);
  const Result<File> file = File::Parse(writer.Serialize());
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->version(), 3u);
  EXPECT_EQ(file->metadata().size(), EveryKindOfValue().size());
  for (const auto& [key, value] : EveryKindOfValue()) {
    ASSERT_NE(file->FindValue(key), nullptr) << key;
    EXPECT_TRUE(*file->FindValue(key) == value) << key;
  }
}

TEST(Writer, ALiteralIsAStringAndALaterValueReplaces) {
  Writer writer;
  writer.Set("key", uint32_t{1});
  writer.Set("key", "text");
  const Result<File> file = File::Parse(writer.Serialize());
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->GetString("key").value(), "text");
}

std::vector<uint8_t> Filled(size_t n, uint8_t first) {
  std::vector<uint8_t> bytes(n);
  for (size_t i = 0; i < n; ++i) bytes[i] = static_cast<uint8_t>(first + i);
  return bytes;
}

TEST(Writer, TensorsComeBackAlignedWithTheirBytes) {
  for (const uint32_t alignment : {8u, 32u, 4096u}) {
    Writer writer;
    writer.Set("general.alignment", alignment);
    writer.AddTensor("a", tensor::DType::kF32, {3}, Filled(12, 1));
    writer.AddTensor("b", tensor::DType::kQ6_K, {256, 2}, Filled(420, 5));
    writer.AddTensor("c", tensor::DType::kI8, {1, 2, 3, 4}, Filled(24, 9));
    const std::vector<uint8_t> bytes = writer.Serialize();
    const Result<File> file = File::Parse(bytes);
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_EQ(file->alignment(), alignment);
    EXPECT_EQ(file->data_offset_bytes() % alignment, 0u);
    ASSERT_EQ(file->tensors().size(), 3u);
    EXPECT_EQ(file->tensors()[0].name, "a");
    EXPECT_THAT(file->FindTensor("b")->dims, ElementsAre(256u, 2u));
    EXPECT_THAT(file->FindTensor("c")->dims, ElementsAre(1u, 2u, 3u, 4u));
    EXPECT_EQ(file->FindTensor("d"), nullptr);
    const std::vector<uint8_t> expected[] = {Filled(12, 1), Filled(420, 5), Filled(24, 9)};
    for (size_t i = 0; i < 3; ++i) {
      const TensorInfo& info = file->tensors()[i];
      EXPECT_EQ(info.offset_bytes % alignment, 0u);
      const std::vector<uint8_t> data(bytes.begin() + info.offset_bytes,
                                      bytes.begin() + info.offset_bytes + info.size_bytes);
      EXPECT_EQ(data, expected[i]) << info.name;
    }
  }
}

TEST(WriterDeathTest, DataOfTheWrongSizeIsOurBug) {
  Writer writer;
  EXPECT_DEATH(writer.AddTensor("a", tensor::DType::kF32, {3}, Filled(11, 0)), "shape and type");
}

}  // namespace
}  // namespace tenfold::gguf
