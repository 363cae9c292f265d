// Hostile bytes: every contradiction gets one sentence that names its key or tensor, and nothing crashes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "gguf/allocation_probe_test.h"
#include "gguf/file.h"
#include "gguf/value_type.h"
#include "gguf/writer.h"

namespace tenfold::gguf {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Matcher;
using ::testing::Not;

// A file written field by field, so that any field can lie.
class Raw {
 public:
  Raw(uint32_t version, uint64_t tensors, uint64_t keys) {
    for (const char c : {'G', 'G', 'U', 'F'}) bytes_.push_back(static_cast<uint8_t>(c));
    Put(version).Put(tensors).Put(keys);
  }

  template <class T>
  Raw& Put(T number) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof number);
    std::memcpy(bytes_.data() + at, &number, sizeof number);
    return *this;
  }

  Raw& Text(std::string_view text) {
    Put(uint64_t{text.size()});
    bytes_.insert(bytes_.end(), text.begin(), text.end());
    return *this;
  }

  Raw& Key(std::string_view key, ValueType type) { return Text(key).Put(static_cast<uint32_t>(type)); }
  Raw& Array(std::string_view key, uint32_t type, uint64_t count) {
    return Key(key, ValueType::kArray).Put(type).Put(count);
  }

  Raw& Tensor(std::string_view name, std::vector<uint64_t> dims, uint32_t type, uint64_t offset) {
    Text(name).Put(static_cast<uint32_t>(dims.size()));
    for (const uint64_t dim : dims) Put(dim);
    return Put(type).Put(offset);
  }

  // Zeros: the data section, or room for a claim to look plausible.
  Raw& Zeros(size_t n) {
    bytes_.resize(bytes_.size() + n, 0);
    return *this;
  }
  Raw& Pad() { return Zeros((32 - bytes_.size() % 32) % 32); }

  operator const std::vector<uint8_t>&() const { return bytes_; }  // NOLINT(google-explicit-constructor)

 private:
  std::vector<uint8_t> bytes_;
};

Result<File> ParseBytes(const std::vector<uint8_t>& bytes) { return File::Parse(bytes); }

void ExpectRefused(const std::vector<uint8_t>& bytes, ErrorCode code, Matcher<const std::string&> message) {
  const Result<File> file = ParseBytes(bytes);
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().code, code);
  EXPECT_THAT(file.error().message, message);
  EXPECT_THAT(file.error().message, Not(HasSubstr("\n")));
}

void ExpectCorrupt(const std::vector<uint8_t>& bytes, Matcher<const std::string&> message) {
  ExpectRefused(bytes, ErrorCode::kCorrupt, message);
}

constexpr uint32_t kF32 = 0, kQ8_0 = 8;

std::vector<uint8_t> TextBytes(std::string_view text) { return {text.begin(), text.end()}; }

// A small file with a value of every kind and three tensors.
std::vector<uint8_t> SmallFile() {
  Writer writer;
  writer.Set("u8", uint8_t{200});
  writer.Set("i8", int8_t{-3});
  writer.Set("u16", uint16_t{60000});
  writer.Set("i16", int16_t{-300});
  writer.Set("u32", uint32_t{4000000000});
  writer.Set("i32", int32_t{-70000});
  writer.Set("u64", uint64_t{1} << 40);
  writer.Set("i64", -(int64_t{1} << 40));
  writer.Set("f32", 1.5f);
  writer.Set("f64", 2.25);
  writer.Set("bool", true);
  writer.Set("string", "text");
  writer.Set("bools", ArrayValue(std::vector<bool>{true, false}));
  writer.Set("ints", ArrayValue(std::vector<int32_t>{1, -2, 3}));
  writer.Set("strings", ArrayValue(std::vector<std::string>{"a", "", "c"}));
  writer.AddTensor("vector", tensor::DType::kF32, {4}, std::vector<uint8_t>(16, 1));
  writer.AddTensor("matrix", tensor::DType::kQ8_0, {32, 2}, std::vector<uint8_t>(68, 2));
  writer.AddTensor("cube", tensor::DType::kF16, {2, 2, 2}, std::vector<uint8_t>(16, 3));
  return writer.Serialize();
}

TEST(Parse, SmallFileIsSound) {
  const Result<File> file = ParseBytes(SmallFile());
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->metadata().size(), 15u);
  EXPECT_EQ(file->tensors().size(), 3u);
}

TEST(Parse, Version2IsRead) {
  const Result<File> file = ParseBytes(Raw(2, 0, 1).Key("x", ValueType::kUint8).Put(uint8_t{7}));
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->version(), 2u);
  EXPECT_EQ(file->GetUint("x").value(), 7u);
}

TEST(Parse, TruncationAtEveryByteIsRefused) {
  const std::vector<uint8_t> bytes = SmallFile();
  const Result<File> whole = ParseBytes(bytes);
  ASSERT_TRUE(whole.ok());
  const TensorInfo& last = whole->tensors().back();
  const uint64_t needed = last.offset_bytes + last.size_bytes;  // after it comes only padding
  ASSERT_LE(needed, bytes.size());
  for (size_t n = 0; n < bytes.size(); ++n) {
    // A copy of exactly n bytes, so that a sanitizer sees any read past them.
    const Result<File> file = ParseBytes({bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(n)});
    ASSERT_EQ(file.ok(), n >= needed) << n;
    if (file.ok()) continue;
    ASSERT_EQ(file.error().code, ErrorCode::kCorrupt) << n;
    ASSERT_THAT(file.error().message, HasSubstr("fetch it again")) << n;
  }
}

TEST(Parse, AnyChangedByteIsReadOrRefusedAndNeverCostsMemory) {
  const std::vector<uint8_t> bytes = SmallFile();
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (const uint8_t change : {0x01, 0x02, 0x04, 0x10, 0x40, 0x80, 0xFF}) {
      std::vector<uint8_t> mutant = bytes;
      mutant[at] ^= change;
      g_largest_allocation_bytes = 0;
      const Result<File> file = ParseBytes(mutant);
      ASSERT_LE(g_largest_allocation_bytes, 8 * bytes.size()) << "byte " << at << " ^ " << int{change};
      if (!file.ok()) {
        ASSERT_THAT(file.error().message, AllOf(Not(HasSubstr("\n")), Not(""))) << at;
        continue;
      }
      for (const TensorInfo& info : file->tensors()) {
        ASSERT_LE(info.offset_bytes, mutant.size());
        ASSERT_LE(info.size_bytes, mutant.size() - info.offset_bytes);
      }
    }
  }
}

TEST(Parse, NotAGgufFile) {
  ExpectCorrupt({}, HasSubstr("empty"));
  ExpectCorrupt(TextBytes("GGMLxxxxxxxxxxxxxxxxxxxxxxxx"), HasSubstr("begins with \"GGML\" instead of \"GGUF\""));
  ExpectCorrupt(TextBytes("PK\x03"), HasSubstr("begins with \"PK\\x03\""));
  ExpectCorrupt(TextBytes("version https://git-lfs.github.com/spec/v1\noid sha256:00"), HasSubstr("git lfs pull"));
}

TEST(Parse, OtherVersionsAreRefusedByNumber) {
  ExpectRefused(Raw(1, 0, 0), ErrorCode::kUnsupported, HasSubstr("version 1 is not supported: convert"));
  ExpectRefused(Raw(4, 0, 0), ErrorCode::kUnsupported, HasSubstr("version 4 is not supported"));
  ExpectRefused(Raw(0, 0, 0), ErrorCode::kUnsupported, HasSubstr("version 0 is not supported"));
  ExpectRefused(Raw(0x03000000, 0, 0), ErrorCode::kUnsupported, HasSubstr("big endian"));
}

TEST(Parse, AbsurdCountsAreRefusedBeforeTheyCostMemory) {
  for (const uint64_t count : {uint64_t{1000}, uint64_t{1} << 33, uint64_t{1} << 61, ~uint64_t{0}}) {
    g_largest_allocation_bytes = 0;
    const std::string number = std::to_string(count);
    ExpectCorrupt(Raw(3, 0, count).Zeros(64), HasSubstr("claims " + number + " metadata keys"));
    ExpectCorrupt(Raw(3, count, 0).Zeros(64), HasSubstr("claims " + number + " tensors"));
    for (const uint32_t type : {0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12}) {
      ExpectCorrupt(Raw(3, 0, 1).Array("tokens", type, count).Zeros(64),
                    HasSubstr("metadata key \"tokens\" claims " + number + " elements"));
    }
    ExpectCorrupt(Raw(3, 0, 1).Key("name", ValueType::kString).Put(count).Zeros(64),
                  HasSubstr("the value of metadata key \"name\""));
    ExpectCorrupt(Raw(3, 0, 1).Put(count).Zeros(64), HasSubstr("the name of metadata key 1 of 1"));
    ExpectCorrupt(Raw(3, 1, 0).Put(count).Zeros(64), HasSubstr("the name of tensor 1 of 1"));
    EXPECT_LE(g_largest_allocation_bytes, 4096u);
  }
}

TEST(Parse, AnArrayMayFillTheFileExactly) {
  ASSERT_TRUE(ParseBytes(Raw(3, 0, 1).Array("a", 4, 3).Zeros(12)).ok());
  ExpectCorrupt(Raw(3, 0, 1).Array("a", 4, 3).Zeros(11), HasSubstr("\"a\" claims 3 elements"));
  ExpectCorrupt(Raw(3, 0, 1).Array("a", 8, 2).Text("x").Put(uint64_t{1}),
                HasSubstr("string 1 of 2 in metadata key \"a\""));
}

TEST(Parse, MetadataThatContradictsTheFormat) {
  ExpectCorrupt(Raw(3, 0, 1).Text("k").Put(uint32_t{13}).Zeros(8), HasSubstr("\"k\" has value type 13"));
  ExpectCorrupt(Raw(3, 0, 1).Array("k", 13, 1).Zeros(8), HasSubstr("\"k\" is an array of type 13"));
  ExpectRefused(Raw(3, 0, 1).Array("k", 9, 1).Put(uint32_t{4}).Put(uint64_t{0}), ErrorCode::kUnsupported,
                HasSubstr("\"k\" is an array of arrays"));
  ExpectCorrupt(Raw(3, 0, 1).Key("k", ValueType::kBool).Put(uint8_t{2}), HasSubstr("\"k\" holds a bool of 2"));
  ExpectCorrupt(Raw(3, 0, 1).Array("k", 7, 2).Put(uint8_t{1}).Put(uint8_t{255}),
                HasSubstr("\"k\" holds a bool of 255"));
  ExpectCorrupt(Raw(3, 0, 1).Key("", ValueType::kUint32).Put(uint32_t{2}), HasSubstr("key 1 of 1 has an empty name"));
  ExpectCorrupt(Raw(3, 0, 2).Key("k", ValueType::kUint32).Put(1u).Key("k", ValueType::kUint32).Put(1u),
                HasSubstr("\"k\" appears twice"));
}

TEST(Parse, AlignmentMustBeAPowerOfTwo) {
  for (const uint32_t alignment : {0u, 1u, 4u, 24u, 33u}) {
    ExpectCorrupt(Raw(3, 0, 1).Key("general.alignment", ValueType::kUint32).Put(alignment),
                  AllOf(HasSubstr("\"general.alignment\" is " + std::to_string(alignment)), HasSubstr("power of two")));
  }
  ExpectCorrupt(Raw(3, 0, 1).Key("general.alignment", ValueType::kString).Text("32"),
                HasSubstr("\"general.alignment\" must be an integer"));
  ExpectCorrupt(
      Raw(3, 1, 1).Key("general.alignment", ValueType::kUint64).Put(uint64_t{1} << 63).Tensor("t", {1}, kF32, 0).Pad(),
      HasSubstr("tensor \"t\" needs 4 bytes"));
}

TEST(Parse, ShapesThatCannotBe) {
  const auto one = [](std::vector<uint64_t> dims, uint32_t type) {
    return Raw(3, 1, 0).Tensor("t", std::move(dims), type, 0).Pad().Zeros(4096);
  };
  ASSERT_TRUE(ParseBytes(one({32, 2, 2, 2}, kQ8_0)).ok());
  ExpectCorrupt(one({}, kF32), HasSubstr("\"t\" has 0 dimensions"));
  ExpectCorrupt(one({1, 1, 1, 1, 1}, kF32), HasSubstr("\"t\" has 5 dimensions"));
  ExpectCorrupt(one({4, 0}, kF32), HasSubstr("\"t\" has a dimension of 0"));
  ExpectCorrupt(one({48}, kQ8_0), AllOf(HasSubstr("\"t\" has rows of 48 elements"), HasSubstr("Q8_0")));
  const uint64_t big = uint64_t{1} << 32;
  ExpectCorrupt(one({big, big}, kF32), HasSubstr("\"t\" has a shape of [4294967296, 4294967296]"));
  ExpectCorrupt(one({big, big / 4}, kF32), HasSubstr("\"t\" has a shape of"));  // elements fit 64 bits, bytes do not
  ExpectCorrupt(one({big, big / 8}, kF32), HasSubstr("\"t\" needs 9223372036854775808 bytes"));
  ExpectCorrupt(one({uint64_t{1} << 63, 2, 4, 8}, kF32), HasSubstr("\"t\" has a shape of"));
}

TEST(Parse, UnknownTensorTypesAreNamedWithTheirId) {
  for (const uint32_t id : {4u, 5u, 31u, 38u, 1000u, ~0u}) {
    ExpectRefused(Raw(3, 1, 0).Tensor("blk.0.ffn", {32}, id, 0).Pad().Zeros(64), ErrorCode::kUnsupported,
                  AllOf(HasSubstr("\"blk.0.ffn\""), HasSubstr("type id " + std::to_string(id)), HasSubstr("convert")));
  }
}

TEST(Parse, KnownTypesThatCannotBeComputedAreRead) {
  const Result<File> file = ParseBytes(Raw(3, 1, 0).Tensor("t", {32}, 2, 0).Pad().Zeros(18));
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->FindTensor("t")->type, tensor::DType::kQ4_0);
  EXPECT_EQ(file->FindTensor("t")->size_bytes, 18u);
}

TEST(Parse, TensorsLieInsideTheFileAlignedAndApart) {
  const auto at = [](uint64_t offset, size_t data) {
    return Raw(3, 1, 0).Tensor("t", {8}, kF32, offset).Pad().Zeros(data);
  };
  ASSERT_TRUE(ParseBytes(at(0, 32)).ok());
  ASSERT_TRUE(ParseBytes(at(64, 96)).ok());
  ExpectCorrupt(at(0, 31), AllOf(HasSubstr("\"t\" needs 32 bytes at offset 0"), HasSubstr("not fully downloaded")));
  ExpectCorrupt(at(64, 95), HasSubstr("\"t\" needs 32 bytes at offset 64"));
  ExpectCorrupt(at(16, 96), AllOf(HasSubstr("\"t\" is at offset 16"), HasSubstr("alignment 32")));
  ExpectCorrupt(at(~uint64_t{31}, 96), HasSubstr("\"t\" needs 32 bytes"));  // start or end overflow 64 bits
  ExpectCorrupt(at(~uint64_t{127}, 96), HasSubstr("\"t\" needs 32 bytes"));

  const auto pair = [](uint64_t first, uint64_t second) {
    return Raw(3, 2, 0).Tensor("a", {16}, kF32, first).Tensor("b", {8}, kF32, second).Pad().Zeros(128);
  };
  ASSERT_TRUE(ParseBytes(pair(0, 64)).ok());
  ASSERT_TRUE(ParseBytes(pair(32, 0)).ok());  // not in file order, but apart
  ExpectCorrupt(pair(0, 32), HasSubstr("tensors \"a\" and \"b\" overlap"));
  ExpectCorrupt(pair(32, 32), HasSubstr("overlap"));
  constexpr uint32_t kI8 = 24;
  ExpectCorrupt(Raw(3, 2, 0).Tensor("a", {33}, kI8, 0).Tensor("b", {1}, kI8, 32).Pad().Zeros(64),
                HasSubstr("tensors \"a\" and \"b\" overlap"));  // by one byte
  ExpectCorrupt(pair(32, 64), HasSubstr("tensors \"a\" and \"b\" overlap"));
}

TEST(Parse, TensorNamesAreUniqueAndNotEmpty) {
  ExpectCorrupt(Raw(3, 2, 0).Tensor("a", {8}, kF32, 0).Tensor("a", {8}, kF32, 32).Pad().Zeros(64),
                HasSubstr("tensor \"a\" appears twice"));
  ExpectCorrupt(Raw(3, 1, 0).Tensor("", {8}, kF32, 0).Pad().Zeros(64), HasSubstr("tensor 1 of 1 has an empty name"));
}

TEST(Parse, HostileNamesCannotForgeLogLines) {
  const std::string name = "x\nERROR \"\xff" + std::string(5000, 'y');
  const Result<File> file = ParseBytes(Raw(3, 0, 1).Text(name).Put(uint32_t{99}).Zeros(8));
  ASSERT_FALSE(file.ok());
  EXPECT_THAT(file.error().message, HasSubstr("\"x\\x0aERROR \\x22\\xffyyy"));
  EXPECT_LT(file.error().message.size(), 300u);
}

}  // namespace
}  // namespace tenfold::gguf
