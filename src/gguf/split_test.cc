#include "gguf/split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "gguf/model_file.h"
#include "gguf/writer.h"

namespace tenfold::gguf {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using Bytes = std::vector<uint8_t>;

// Five tensors of different contents.
Writer FiveTensors() {
  Writer writer;
  writer.Set("general.architecture", "llama");
  writer.Set("general.name", "split test");
  for (uint8_t i = 0; i < 5; ++i) {
    writer.AddTensor("t" + std::to_string(i), tensor::DType::kF32, {4u + i}, Bytes(4 * (4u + i), i));
  }
  return writer;
}

// A folder of files, gone with the object.
class Folder {
 public:
  Folder() {
    path_ = ::testing::TempDir() + "/split_test_XXXXXX";
    EXPECT_NE(mkdtemp(path_.data()), nullptr);
  }
  ~Folder() { std::filesystem::remove_all(path_); }

  std::string Path(const std::string& name) const { return path_ + "/" + name; }
  std::string Part(uint64_t number, uint64_t count) const { return MakePartName(Path("m"), number, count); }
  void Write(const std::string& path, const Bytes& bytes) const {
    std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
  }
  void WriteParts(const std::vector<Bytes>& parts) const {
    for (size_t i = 0; i < parts.size(); ++i) Write(Part(i + 1, parts.size()), parts[i]);
  }

 private:
  std::string path_;
};

const std::vector<size_t> kCounts = {0, 2, 3};  // a first part of metadata alone is common

void ExpectRefused(const std::string& path, ErrorCode code, const ::testing::Matcher<std::string>& message) {
  const auto opened = ModelFile::Open(path);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, code) << opened.error().message;
  EXPECT_THAT(opened.error().message, message);
  EXPECT_EQ(opened.error().message.find('\n'), std::string::npos);
}

TEST(PartNames, AreRecognisedAndMade) {
  const auto name = ParsePartName("/models/a-b.Q4_K_M-00002-of-00011.gguf");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->stem, "/models/a-b.Q4_K_M");
  EXPECT_EQ(name->number, 2u);
  EXPECT_EQ(name->count, 11u);
  EXPECT_EQ(MakePartName(name->stem, 3, 11), "/models/a-b.Q4_K_M-00003-of-00011.gguf");
  for (const char* other :
       {"", "m.gguf", "-00001-of-00002.gguf", "m-0001-of-0002.gguf", "m-00003-of-00002.gguf", "m-00000-of-00002.gguf",
        "m-00001-of-00002.bin", "m-000a1-of-00002.gguf", "m-+0001-of-00002.gguf", "m 00001-of-00002.gguf"}) {
    EXPECT_FALSE(ParsePartName(other)) << other;
  }
}

TEST(SplitModel, EveryTensorIsFoundInItsPart) {
  const Folder folder;
  folder.WriteParts(FiveTensors().SerializeParts(kCounts));
  const auto model = ModelFile::Open(folder.Part(1, 3));
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->parts(), 3u);
  EXPECT_EQ(model->file().GetString("general.name").value(), "split test");
  ASSERT_EQ(model->file().tensors().size(), 5u);
  uint64_t bytes = 0;
  for (uint64_t i = 1; i <= 3; ++i) bytes += std::filesystem::file_size(folder.Part(i, 3));
  EXPECT_EQ(model->size_bytes(), bytes);
  for (uint8_t i = 0; i < 5; ++i) {
    const TensorInfo* tensor = model->file().FindTensor("t" + std::to_string(i));
    ASSERT_NE(tensor, nullptr);
    EXPECT_EQ(tensor->part, i < 2 ? 1u : 2u);
    model->WillNeed(*tensor, 0, tensor->size_bytes);
    model->Enter(*tensor, 0, tensor->size_bytes);
    model->Release(*tensor, 0, tensor->size_bytes);
    EXPECT_THAT(model->TensorBytes(*tensor), ::testing::ElementsAreArray(Bytes(4 * (4u + i), i)));
  }
}

TEST(SplitModel, AWholeFileMayHaveAnyNameAndSayThatItIsOneOfOne) {
  const Folder folder;
  Writer writer = FiveTensors();
  folder.Write(folder.Part(1, 3), writer.Serialize());
  EXPECT_TRUE(ModelFile::Open(folder.Part(1, 3)).ok());
  writer.Set("split.count", uint16_t{1});
  folder.Write(folder.Path("one.gguf"), writer.Serialize());
  EXPECT_TRUE(ModelFile::Open(folder.Path("one.gguf")).ok());
}

TEST(SplitModel, ALaterPartSaysWhichToOpen) {
  const Folder folder;
  const auto parts = FiveTensors().SerializeParts(kCounts);
  folder.WriteParts(parts);
  ExpectRefused(folder.Part(2, 3), ErrorCode::kInvalidArgument,
                AllOf(HasSubstr("part 2 of 3"), HasSubstr(folder.Part(1, 3))));
  folder.Write(folder.Path("renamed.gguf"), parts[2]);
  ExpectRefused(folder.Path("renamed.gguf"), ErrorCode::kInvalidArgument, HasSubstr("part 3 of 3"));
  folder.Write(folder.Path("renamed.gguf"), parts[0]);
  ExpectRefused(folder.Path("renamed.gguf"), ErrorCode::kInvalidArgument, HasSubstr("-00001-of-00003.gguf"));
}

TEST(SplitModel, AMissingPartIsNamed) {
  const Folder folder;
  folder.WriteParts(FiveTensors().SerializeParts(kCounts));
  std::filesystem::remove(folder.Part(3, 3));
  ExpectRefused(folder.Part(1, 3), ErrorCode::kNotFound,
                AllOf(HasSubstr("part 3 of 3 is missing"), HasSubstr(folder.Part(3, 3))));
}

TEST(SplitModel, SwappedAndDoubledPartsAreNamed) {
  const Folder folder;
  const auto parts = FiveTensors().SerializeParts(kCounts);
  folder.WriteParts({parts[0], parts[2], parts[1]});
  ExpectRefused(folder.Part(1, 3), ErrorCode::kCorrupt,
                AllOf(HasSubstr("says that it is part 3 of 3"), HasSubstr(folder.Part(2, 3))));
  folder.WriteParts({parts[0], parts[1], parts[1]});
  ExpectRefused(folder.Part(1, 3), ErrorCode::kCorrupt,
                AllOf(HasSubstr("says that it is part 2 of 3"), HasSubstr(folder.Part(3, 3))));
  folder.WriteParts({parts[1], parts[0], parts[2]});
  ExpectRefused(folder.Part(1, 3), ErrorCode::kCorrupt, HasSubstr("says that it is part 2"));
}

TEST(SplitModel, PartsOfOtherModelsAreNamed) {
  const Folder folder;
  const auto parts = FiveTensors().SerializeParts(kCounts);
  const std::vector<size_t> other_counts = {3, 2};
  folder.WriteParts({parts[0], parts[1], FiveTensors().SerializeParts(other_counts)[1]});
  ExpectRefused(folder.Part(1, 3), ErrorCode::kCorrupt,
                AllOf(HasSubstr("one of 3 parts"), HasSubstr("2 parts"), HasSubstr(folder.Part(3, 3))));
  folder.WriteParts({parts[0], parts[1], FiveTensors().Serialize()});
  ExpectRefused(folder.Part(1, 3), ErrorCode::kCorrupt, HasSubstr("a model of its own"));

  // The same counts, other cuts: a tensor twice, or one too few.
  const std::vector<size_t> cut_earlier = {0, 1, 4}, cut_later = {0, 3, 2};
  folder.WriteParts({parts[0], parts[1], FiveTensors().SerializeParts(cut_earlier)[2]});
  ExpectRefused(folder.Part(1, 3), ErrorCode::kCorrupt,
                AllOf(HasSubstr("\"t1\""), HasSubstr(folder.Part(2, 3)), HasSubstr(folder.Part(3, 3))));
  folder.WriteParts({parts[0], parts[1], FiveTensors().SerializeParts(cut_later)[2]});
  ExpectRefused(folder.Part(1, 3), ErrorCode::kCorrupt,
                AllOf(HasSubstr("4 tensors"), HasSubstr("says 5"), HasSubstr(folder.Part(1, 3))));

  // Metadata that a later part repeats must agree.
  Writer stranger;
  stranger.Set("general.architecture", "qwen3");
  stranger.Set("split.no", uint16_t{2});
  stranger.Set("split.count", uint16_t{3});
  stranger.Set("split.tensors.count", int32_t{5});
  folder.WriteParts({parts[0], parts[1], stranger.Serialize()});
  ExpectRefused(folder.Part(1, 3), ErrorCode::kCorrupt,
                AllOf(HasSubstr("general.architecture"), HasSubstr(folder.Part(3, 3))));
}

TEST(SplitModel, ADamagedPartIsNamed) {
  const Folder folder;
  auto parts = FiveTensors().SerializeParts(kCounts);
  parts[2].resize(parts[2].size() - 33);
  folder.WriteParts(parts);
  ExpectRefused(folder.Part(1, 3), ErrorCode::kCorrupt,
                AllOf(HasSubstr("part 3 of 3"), HasSubstr(folder.Part(3, 3)), HasSubstr("not fully downloaded")));
  parts[2].clear();
  folder.WriteParts(parts);
  ExpectRefused(folder.Part(1, 3), ErrorCode::kCorrupt, HasSubstr(folder.Part(3, 3)));
}

TEST(SplitModel, AbsurdKeysAreRefused) {
  const auto refused = [](const std::function<void(Writer&)>& change, const std::string& mentions) {
    Writer writer;
    writer.Set("split.no", uint16_t{0});
    writer.Set("split.count", uint16_t{2});
    writer.Set("split.tensors.count", int32_t{5});
    change(writer);
    const auto keys = ReadSplitKeys(File::Parse(writer.Serialize()).value());
    ASSERT_FALSE(keys.ok()) << mentions;
    EXPECT_THAT(keys.error().message, HasSubstr(mentions));
  };
  refused([](Writer& w) { w.Set("split.count", uint64_t{1} << 60); }, "split.count");
  refused([](Writer& w) { w.Set("split.count", std::string("2")); }, "split.count");
  refused([](Writer& w) { w.Set("split.no", uint16_t{2}); }, "split.no");
  refused([](Writer& w) { w.Set("split.no", int16_t{-1}); }, "split.no");
  refused([](Writer& w) { w.Set("split.tensors.count", int32_t{-1}); }, "split.tensors.count");
}

// Any byte of any part may lie: a sentence or a model, never more.
TEST(SplitModel, AnyChangedByteIsReadOrRefused) {
  const auto parts = FiveTensors().SerializeParts(kCounts);
  const std::vector<std::string> names = {"first", "second", "third"};
  for (size_t part = 0; part < parts.size(); ++part) {
    for (size_t at = 0; at < parts[part].size(); ++at) {
      for (const uint8_t change : {0x01, 0x10, 0xFF}) {
        std::vector<File> files;
        Bytes mutant = parts[part];
        mutant[at] ^= change;
        for (size_t i = 0; i < parts.size(); ++i) {
          auto parsed = File::Parse(i == part ? mutant : parts[i]);
          if (parsed.ok()) files.push_back(std::move(parsed).value());
        }
        if (files.size() < parts.size()) continue;
        const auto joined = File::Join(std::move(files), names);
        if (joined.ok()) {
          ASSERT_EQ(joined->tensors().size(), 5u);
        } else {
          ASSERT_FALSE(joined.error().message.empty());
        }
      }
    }
  }
}

}  // namespace
}  // namespace tenfold::gguf
