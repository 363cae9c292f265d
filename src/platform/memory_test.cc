#include "platform/memory.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace tenfold::platform {
namespace {

class MappedFileTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/tenfold_memory_test_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& bytes) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  // The error of opening `path` must have this code and name both the path and the reason.
  static void ExpectError(const std::string& path, ErrorCode code, const std::string& reason) {
    const auto file = MappedFile::Open(path);
    ASSERT_FALSE(file.ok()) << path;
    EXPECT_EQ(file.error().code, code);
    EXPECT_NE(file.error().message.find(path), std::string::npos) << file.error().message;
    EXPECT_NE(file.error().message.find(reason), std::string::npos) << file.error().message;
  }

  std::string folder_;
};

TEST_F(MappedFileTest, ShowsTheBytes) {
  const std::string text(10'000, 'x');
  const auto file = MappedFile::Open(Write("a", text + "end"));
  ASSERT_TRUE(file.ok());
  ASSERT_EQ(file->bytes().size(), 10'003u);
  EXPECT_EQ(std::memcmp(file->bytes().data() + 10'000, "end", 3), 0);
}

TEST_F(MappedFileTest, ReadingGivesTheSameBytesAndLeavesTheFileBehind) {
  std::string text(20 << 20, 'x');  // several pieces
  for (size_t i = 0; i < text.size(); i += 4093) text[i] = static_cast<char>(i >> 12);
  const std::string path = Write("a", text);
  uint64_t calls = 0;
  const auto file = MappedFile::Read(path, [&](uint64_t done, uint64_t total) {
    ++calls;
    return done < total && total == text.size();
  });
  ASSERT_TRUE(file.ok());
  EXPECT_GE(calls, 3u);
  std::filesystem::resize_file(path, 1);  // a map would raise SIGBUS now
  ASSERT_EQ(file->bytes().size(), text.size());
  EXPECT_EQ(std::memcmp(file->bytes().data(), text.data(), text.size()), 0);
  file->Release(0, 8 << 20);
  EXPECT_EQ(std::memcmp(file->bytes().data() + (8 << 20), text.data() + (8 << 20), text.size() - (8 << 20)), 0);
}

TEST_F(MappedFileTest, ReadingCanBeAbandonedAndFailsAsOpeningDoes) {
  const auto never = [](uint64_t, uint64_t) { return false; };
  const auto abandoned = MappedFile::Read(Write("a", "text"), never);
  ASSERT_FALSE(abandoned.ok());
  EXPECT_EQ(abandoned.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(MappedFile::Read(folder_ + "/missing", never).error().code, ErrorCode::kNotFound);
}

TEST_F(MappedFileTest, OddFilesAreClearErrors) {
  ExpectError(folder_ + "/missing", ErrorCode::kNotFound, "No such file");
  ExpectError(folder_, ErrorCode::kInvalidArgument, "directory");
  ExpectError(Write("empty", ""), ErrorCode::kCorrupt, "empty");
  ExpectError("/dev/null", ErrorCode::kInvalidArgument, "device");
  const std::string fifo = folder_ + "/fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  ExpectError(fifo, ErrorCode::kInvalidArgument, "pipe");  // and at once, with no writer
}

TEST_F(MappedFileTest, UnreadableFile) {
  const std::string path = Write("secret", "x");
  ASSERT_EQ(chmod(path.c_str(), 0), 0);
  const bool was_root = geteuid() == 0;  // root may read everything, so be somebody else for a moment
  if (was_root && seteuid(65534) != 0) GTEST_SKIP() << "root that cannot become another user may read everything";
  ExpectError(path, ErrorCode::kIo, "Permission denied");
  if (was_root) {
    ASSERT_EQ(seteuid(0), 0);
  }
}

TEST_F(MappedFileTest, HintsAcceptAnyRangeAndKeepTheBytes) {
  std::string text(3 * 4096 + 100, 'q');
  const auto file = MappedFile::Open(Write("a", text));
  ASSERT_TRUE(file.ok());
  for (size_t offset : {size_t{0}, size_t{1}, size_t{4096}, size_t{5000}, text.size() - 1, text.size(), SIZE_MAX}) {
    for (size_t length : {size_t{0}, size_t{1}, size_t{4096}, size_t{9000}, SIZE_MAX}) {
      file->WillNeed(offset, length);
      file->Enter(offset, length);
      file->Release(offset, length);
    }
  }
  EXPECT_EQ(std::memcmp(file->bytes().data(), text.data(), text.size()), 0);
}

TEST_F(MappedFileTest, ReleaseGivesResidentPagesBack) {
  constexpr size_t kBytes = size_t{32} << 20;
  const auto file = MappedFile::Open(Write("big", std::string(kBytes, 'z')));
  ASSERT_TRUE(file.ok());
  const auto touch = [&] {
    uint64_t sum = 0;
    for (size_t i = 0; i < kBytes; i += 4096) sum += file->bytes()[i];
    return sum;
  };
  const uint64_t sum = touch();
  const uint64_t full = ResidentBytes();
  file->Release(0, kBytes);
  EXPECT_LT(ResidentBytes(), full - kBytes / 2);
  EXPECT_EQ(touch(), sum);
}

TEST_F(MappedFileTest, MovesOwnershipOnce) {
  auto a = MappedFile::Open(Write("a", "aaa"));
  auto b = MappedFile::Open(Write("b", "bb"));
  ASSERT_TRUE(a.ok() && b.ok());
  MappedFile moved(std::move(*a));
  EXPECT_EQ(moved.bytes().size(), 3u);
  EXPECT_EQ(a->bytes().size(), 0u);
  moved = std::move(*b);
  EXPECT_EQ(moved.bytes().size(), 2u);
  MappedFile& same = moved;
  moved = std::move(same);
  EXPECT_EQ(moved.bytes().size(), 2u);
}

TEST(HugeBuffer, IsZeroAlignedAndWritable) {
  for (size_t bytes : {size_t{1}, size_t{4096}, (size_t{2} << 20), (size_t{2} << 20) + 1, (size_t{5} << 20)}) {
    auto buffer = HugeBuffer::Allocate(bytes);
    ASSERT_TRUE(buffer.ok());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer->data()) % (2 << 20), 0u);
    EXPECT_EQ(buffer->size(), bytes);
    EXPECT_EQ(buffer->data()[0], 0);
    EXPECT_EQ(buffer->data()[bytes - 1], 0);
    buffer->data()[0] = 1;
    buffer->data()[bytes - 1] = 2;
  }
}

TEST(HugeBuffer, ZeroBytesIsAnEmptyBuffer) {
  const auto buffer = HugeBuffer::Allocate(0);
  ASSERT_TRUE(buffer.ok());
  EXPECT_EQ(buffer->data(), nullptr);
  EXPECT_EQ(buffer->size(), 0u);
}

TEST(HugeBuffer, ImpossibleSizesAreErrorsThatNameTheSize) {
  for (size_t bytes : {SIZE_MAX, SIZE_MAX - (size_t{4} << 20), size_t{1} << 60}) {
    const auto buffer = HugeBuffer::Allocate(bytes);
    ASSERT_FALSE(buffer.ok());
    EXPECT_EQ(buffer.error().code, ErrorCode::kResourceExhausted);
    EXPECT_NE(buffer.error().message.find(std::to_string(bytes)), std::string::npos);
  }
}

TEST(HugeBuffer, GivesMemoryBackWhenDestroyedOrOverwritten) {
  constexpr size_t kBytes = size_t{64} << 20;
  const uint64_t before = ResidentBytes();
  {
    auto buffer = HugeBuffer::Allocate(kBytes);
    ASSERT_TRUE(buffer.ok());
    std::memset(buffer->data(), 1, kBytes);
    EXPECT_GE(ResidentBytes(), before + kBytes * 9 / 10);
    EXPECT_GE(PeakResidentBytes(), before + kBytes * 9 / 10);
    *buffer = HugeBuffer();
    EXPECT_LT(ResidentBytes(), before + kBytes / 2);
  }
}

TEST(HugeBuffer, SaysHowMuchOfItIsOnHugePages) {
  constexpr size_t kBytes = size_t{64} << 20;
  const auto buffer = HugeBuffer::Allocate(kBytes);
  ASSERT_TRUE(buffer.ok());
  EXPECT_EQ(HugePageBytes({buffer->data(), kBytes}), 0u) << "untouched";
  std::memset(buffer->data(), 1, kBytes);
  const uint64_t huge = HugePageBytes({buffer->data(), kBytes});
  EXPECT_LE(huge, kBytes);
  if (HugePagesAllowed()) {
    EXPECT_GT(huge, 0u) << "not one of 32 huge pages could be had";
  } else {
    EXPECT_EQ(huge, 0u);
  }
  EXPECT_EQ(HugePageBytes({}), 0u);
}

// The limit is raised again after each test only down to the hard limit, so this one lowers the soft limit alone.
TEST(HugePagesAllowed, FollowsTheKernelsSetting) {
  char name[] = "/tmp/tenfold_memory_test_XXXXXX";
  ASSERT_NE(mkdtemp(name), nullptr);
  const std::string root = name;
  const std::string folder = root + "/sys/kernel/mm/transparent_hugepage";
  EXPECT_FALSE(HugePagesAllowed(root)) << "a kernel without them";
  std::filesystem::create_directories(folder);
  const auto set = [&](const char* line) { std::ofstream(folder + "/enabled") << line << "\n"; };
  set("[always] madvise never");
  EXPECT_TRUE(HugePagesAllowed(root));
  set("always [madvise] never");
  EXPECT_TRUE(HugePagesAllowed(root));
  set("always madvise [never]");
  EXPECT_FALSE(HugePagesAllowed(root));
  std::filesystem::remove_all(root);
}

// In a process of its own: there is no way back.
TEST(HugePagesDeathTest, ForbiddenOnesDoNotCome) {
  EXPECT_EXIT(
      {
        const bool forbidden = ForbidHugePages().ok();
        auto buffer = HugeBuffer::Allocate(size_t{8} << 20);
        std::memset(buffer->data(), 1, buffer->size());
        const bool none = !HugePagesAllowed() && HugePageBytes({buffer->data(), buffer->size()}) == 0;
        std::_Exit(forbidden && none ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace tenfold::platform
