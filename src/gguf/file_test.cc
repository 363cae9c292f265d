#include "gguf/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>

#include "gguf/writer.h"

namespace tenfold::gguf {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

File Sample() {
  Writer writer;
  writer.Set("u8", uint8_t{200});
  writer.Set("u64", ~uint64_t{0});
  writer.Set("i32", int32_t{70000});
  writer.Set("negative", int64_t{-1});
  writer.Set("f32", 0.1f);
  writer.Set("f64", 0.1);
  writer.Set("yes", true);
  writer.Set("text", "hello");
  writer.Set("words", ArrayValue(std::vector<std::string>{"a", "b"}));
  writer.Set("bytes", ArrayValue(std::vector<uint8_t>{1, 255}));
  writer.Set("i16s", ArrayValue(std::vector<int16_t>{-5, 6}));
  writer.Set("u64s", ArrayValue(std::vector<uint64_t>{1, ~uint64_t{0}}));
  writer.Set("bools", ArrayValue(std::vector<bool>{true, false}));
  writer.Set("f32s", ArrayValue(std::vector<float>{0.5f, -2.0f}));
  writer.Set("f64s", ArrayValue(std::vector<double>{0.1}));
  return File::Parse(writer.Serialize()).value();
}

template <class T>
void ExpectError(const Result<T>& result, ErrorCode code, ::testing::Matcher<const std::string&> message) {
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, code);
  EXPECT_THAT(result.error().message, message);
}

TEST(File, TypedReads) {
  const File file = Sample();
  EXPECT_EQ(file.GetUint("u8").value(), 200u);
  EXPECT_EQ(file.GetUint("u64").value(), ~uint64_t{0});
  EXPECT_EQ(file.GetUint("i32").value(), 70000u);
  EXPECT_EQ(file.GetFloat("f32").value(), static_cast<double>(0.1f));
  EXPECT_EQ(file.GetFloat("f64").value(), 0.1);
  EXPECT_EQ(file.GetBool("yes").value(), true);
  EXPECT_EQ(file.GetString("text").value(), "hello");
  EXPECT_THAT(*file.GetStrings("words").value(), ElementsAre("a", "b"));
  EXPECT_THAT(file.GetInts("bytes").value(), ElementsAre(1, 255));
  EXPECT_THAT(file.GetInts("i16s").value(), ElementsAre(-5, 6));
  EXPECT_THAT(file.GetFloats("f32s").value(), ElementsAre(0.5f, -2.0f));
  EXPECT_THAT(file.GetFloats("f64s").value(), ElementsAre(0.1f));
}

TEST(File, AMissingKeyIsNamed) {
  const File file = Sample();
  const auto missing = AllOf(HasSubstr("\"nope\" is missing"), HasSubstr("convert"));
  ExpectError(file.GetString("nope"), ErrorCode::kNotFound, missing);
  ExpectError(file.GetUint("nope"), ErrorCode::kNotFound, missing);
  ExpectError(file.GetFloat("nope"), ErrorCode::kNotFound, missing);
  ExpectError(file.GetBool("nope"), ErrorCode::kNotFound, missing);
  ExpectError(file.GetStrings("nope"), ErrorCode::kNotFound, missing);
  ExpectError(file.GetInts("nope"), ErrorCode::kNotFound, missing);
  ExpectError(file.GetFloats("nope"), ErrorCode::kNotFound, missing);
}

TEST(File, AWrongTypeIsNamedWithWhatIsThere) {
  const File file = Sample();
  const auto message = [](std::string key, std::string wanted, std::string found) {
    return HasSubstr("\"" + key + "\" must be " + wanted + ", but the model file has a value of type " + found);
  };
  ExpectError(file.GetString("u8"), ErrorCode::kCorrupt, message("u8", "a string", "uint8"));
  ExpectError(file.GetUint("text"), ErrorCode::kCorrupt, message("text", "an integer", "string"));
  ExpectError(file.GetUint("yes"), ErrorCode::kCorrupt, message("yes", "an integer", "bool"));
  ExpectError(file.GetUint("f32"), ErrorCode::kCorrupt, message("f32", "an integer", "float32"));
  ExpectError(file.GetUint("words"), ErrorCode::kCorrupt, message("words", "an integer", "array of string"));
  ExpectError(file.GetFloat("i32"), ErrorCode::kCorrupt, message("i32", "a float", "int32"));
  ExpectError(file.GetBool("u8"), ErrorCode::kCorrupt, message("u8", "a bool", "uint8"));
  ExpectError(file.GetStrings("text"), ErrorCode::kCorrupt, message("text", "an array of strings", "string"));
  ExpectError(file.GetStrings("i16s"), ErrorCode::kCorrupt, message("i16s", "an array of strings", "array of int16"));
  ExpectError(file.GetInts("u8"), ErrorCode::kCorrupt, message("u8", "an array of integers", "uint8"));
  ExpectError(file.GetInts("f32s"), ErrorCode::kCorrupt, message("f32s", "an array of integers", "array of float32"));
  ExpectError(file.GetInts("bools"), ErrorCode::kCorrupt, message("bools", "an array of integers", "array of bool"));
  ExpectError(file.GetFloats("i16s"), ErrorCode::kCorrupt, message("i16s", "an array of floats", "array of int16"));
}

TEST(File, IntegersThatDoNotFitAreRefused) {
  const File file = Sample();
  ExpectError(file.GetUint("negative"), ErrorCode::kCorrupt, HasSubstr("\"negative\" is -1"));
  ExpectError(file.GetInts("u64s"), ErrorCode::kCorrupt, HasSubstr("\"u64s\" holds 18446744073709551615"));
}

TEST(File, ADefaultStandsInForAMissingKeyOnly) {
  const File file = Sample();
  EXPECT_EQ(file.GetUintOr("nope", 5).value(), 5u);
  EXPECT_EQ(file.GetUintOr("u8", 5).value(), 200u);
  EXPECT_FALSE(file.GetUintOr("text", 5).ok());
  EXPECT_EQ(file.GetFloatOr("nope", 0.5).value(), 0.5);
  EXPECT_EQ(file.GetFloatOr("f64", 0.5).value(), 0.1);
  EXPECT_FALSE(file.GetFloatOr("text", 0.5).ok());
  EXPECT_EQ(file.GetBoolOr("nope", true).value(), true);
  EXPECT_EQ(file.GetBoolOr("yes", false).value(), true);
  EXPECT_FALSE(file.GetBoolOr("text", true).ok());
  EXPECT_EQ(file.GetStringOr("nope", "x").value(), "x");
  EXPECT_EQ(file.GetStringOr("text", "x").value(), "hello");
  EXPECT_FALSE(file.GetStringOr("u8", "x").ok());
}

// A file written by another program.
TEST(File, ReadsAModelWeDidNotWrite) {
  const char* data = std::getenv("TENFOLD_TEST_DATA");
  if (!data) GTEST_SKIP() << "TENFOLD_TEST_DATA is not set";
  std::ifstream in(std::string(data) + "/models/stories260K/stories260K.gguf", std::ios::binary);
  if (!in) GTEST_SKIP() << "TENFOLD_TEST_DATA has no models/stories260K/stories260K.gguf";
  const std::vector<char> chars{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const std::vector<uint8_t> bytes(chars.begin(), chars.end());
  const Result<File> file = File::Parse(bytes);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->GetString("general.architecture").value(), "llama");
  EXPECT_EQ(file->GetStrings("tokenizer.ggml.tokens").value()->size(), 512u);
  const TensorInfo* embedding = file->FindTensor("token_embd.weight");
  ASSERT_NE(embedding, nullptr);
  EXPECT_THAT(embedding->dims, ElementsAre(64u, 512u));
}

}  // namespace
}  // namespace tenfold::gguf
