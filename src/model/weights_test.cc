// What a load reports while it packs, and that it stops where it is told to.
#include "model/weights.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "gguf/split.h"
#include "gguf/test_model.h"
#include "gguf/writer.h"

namespace tenfold::model {
namespace {

// Tensors from 1 KB to 40 MB, so that one of them is packed in several pieces.
std::vector<uint8_t> LargeTiny() { return gguf::MakeTinyModel({.types = "f32", .vocab = 40'000, .seed = 3}); }

// A folder of files, gone with the object.
class Folder {
 public:
  Folder() {
    path_ = ::testing::TempDir() + "/weights_test_XXXXXX";
    EXPECT_NE(mkdtemp(path_.data()), nullptr);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string Write(const std::string& name, std::span<const uint8_t> bytes) const {
    const std::string path = path_ + "/" + name;
    std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
    return path;
  }

 private:
  std::string path_;
};

// Where each tensor of the file ends, parts laid end to end, in order.
std::vector<uint64_t> EndsOf(const gguf::ModelFile& file) {
  std::vector<uint64_t> ends;
  for (const gguf::TensorInfo& t : file.file().tensors()) ends.push_back(file.PositionOf(t) + t.size_bytes);
  std::sort(ends.begin(), ends.end());
  return ends;
}

struct Progress {
  uint64_t done = 0;
  uint64_t total = 0;
};

// Every report of a whole load.
std::vector<Progress> Reports(const gguf::ModelFile& file) {
  platform::ThreadPool pool(2, nullptr);
  std::vector<Progress> reports;
  const auto loaded = LoadWeights(file, ReadConfig(file.file()).value(), pool, [&](uint64_t done, uint64_t total) {
    reports.push_back({done, total});
    return true;
  });
  EXPECT_TRUE(loaded.ok()) << loaded.error().message;
  return reports;
}

void ExpectTrueToTheByte(const gguf::ModelFile& file) {
  const std::vector<Progress> reports = Reports(file);
  ASSERT_GT(reports.size(), 4u);
  EXPECT_EQ(reports.front().done, 0u);
  EXPECT_EQ(reports.back().done, file.size_bytes());
  const std::vector<uint64_t> ends = EndsOf(file);
  size_t tensors = 0;
  size_t inside = 0;  // reports in the middle of a tensor
  for (size_t i = 1; i + 1 < reports.size(); ++i) {
    EXPECT_GE(reports[i].done, reports[i - 1].done) << "report " << i;
    const bool at_end = std::binary_search(ends.begin(), ends.end(), reports[i].done);
    tensors += at_end ? 1 : 0;
    inside += at_end ? 0 : 1;
  }
  for (const Progress& report : reports) EXPECT_EQ(report.total, file.size_bytes());
  EXPECT_EQ(tensors, ends.size()) << "the end of every tensor is one of the reports";
  EXPECT_GE(inside, 2u) << "40 MB are packed in pieces";
  EXPECT_LE(reports[reports.size() - 2].done, file.size_bytes());
}

TEST(LoadWeights, ProgressIsTrueToTheByte) {
  const Folder folder;
  const auto file = gguf::ModelFile::Open(folder.Write("m.gguf", LargeTiny()));
  ASSERT_TRUE(file.ok());
  ExpectTrueToTheByte(*file);
}

TEST(LoadWeights, ProgressCountsThroughAllParts) {
  const std::vector<uint8_t> bytes = LargeTiny();
  const gguf::File whole = gguf::File::Parse(bytes).value();
  gguf::Writer writer;
  for (const auto& [key, value] : whole.metadata()) writer.Set(key, value);
  for (const gguf::TensorInfo& t : whole.tensors()) {
    writer.AddTensor(t.name, t.type, t.dims, std::span(bytes).subspan(t.offset_bytes, t.size_bytes));
  }
  const size_t counts[] = {0, 4, whole.tensors().size() - 4};
  const auto parts = writer.SerializeParts(counts);
  const Folder folder;
  std::string first;
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string path = folder.Write(gguf::MakePartName("m", i + 1, parts.size()), parts[i]);
    if (i == 0) first = path;
  }
  const auto file = gguf::ModelFile::Open(first);
  ASSERT_TRUE(file.ok()) << file.error().message;
  ASSERT_EQ(file->parts(), 3u);
  ExpectTrueToTheByte(*file);
}

TEST(LoadWeights, StopsAtAnyReport) {
  const Folder folder;
  const auto file = gguf::ModelFile::Open(folder.Write("m.gguf", LargeTiny()));
  ASSERT_TRUE(file.ok());
  const Config config = ReadConfig(file->file()).value();
  platform::ThreadPool pool(2, nullptr);
  for (const size_t stop_at : {0, 1, 2, 3, 9}) {
    size_t reports = 0;
    const auto loaded = LoadWeights(*file, config, pool, [&](uint64_t, uint64_t) { return reports++ != stop_at; });
    ASSERT_FALSE(loaded.ok()) << stop_at;
    EXPECT_EQ(loaded.error().code, ErrorCode::kCancelled);
    EXPECT_EQ(reports, stop_at + 1) << "nothing is packed after it";
  }
}

}  // namespace
}  // namespace tenfold::model
