#include "tune/profile.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "config/parse.h"

namespace tenfold::tune {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ProfileKey Key() {
  return {.cpu = "A \"CPU\"",
          .cores = 2,
          .cpus = 4,
          .quota = "1.50",
          .isa = "avx2",
          .model = "m.gguf",
          .model_bytes = 123,
          .model_digest = "00ff",
          .version = "0.1.0"};
}

TEST(Profile, WhatIsWrittenIsRead) {
  const Profile profile{
      .key = Key(), .tuned_for = "10 users", .tuned_on = "today", .tuned_gain = "0.8", .settings = {}};
  const std::string text =
      ProfileText(profile, {{"threads", "3"}, {"huge_pages", "false"}, {"cpu_affinity", "compact"}});
  const auto read = ReadProfile(text, "p.toml");
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(DifferenceOf(read->key, Key()), "");
  EXPECT_EQ(read->tuned_for, "10 users");
  config::Configuration configuration = config::ParseConfiguration({}, {}).value();
  const auto taken = config::ApplyProfile(read->settings, "p.toml", &configuration);
  ASSERT_TRUE(taken.ok()) << taken.error().message;
  EXPECT_THAT(*taken, ElementsAre("cpu_affinity", "huge_pages", "threads"));
  EXPECT_EQ(configuration.settings.threads, 3);
  EXPECT_FALSE(configuration.settings.huge_pages);
  EXPECT_EQ(configuration.settings.cpu_affinity, "compact");
}

TEST(Profile, WhateverElseSetASettingWins) {
  const std::vector<std::string> flags = {"-t", "1"};
  const std::vector<std::string> environment = {"TENFOLD_BATCH_SIZE=64"};
  config::Configuration configuration = config::ParseConfiguration(flags, environment).value();
  const auto read = config::ParseToml("threads = 3\nbatch_size = 128\nparallel = 4\n", "p.toml");
  EXPECT_THAT(*config::ApplyProfile(*read, "p.toml", &configuration), ElementsAre("parallel"));
  EXPECT_EQ(configuration.settings.threads, 1);
  EXPECT_EQ(configuration.settings.batch_size, 64);
  EXPECT_EQ(configuration.settings.parallel, 4);
}

TEST(Profile, WhatIsNoSettingTakesNothingAtAll) {
  config::Configuration configuration = config::ParseConfiguration({}, {}).value();
  for (const auto& [text, message] : std::vector<std::pair<std::string, std::string>>{
           {"threads = 3\nspeed = 1\n", "p.toml:2: speed cannot be tuned"},
           {"threads = 3\nbatch_size = 0\n", "p.toml:2: batch_size: '0' is out of range"},
           {"threads = 3\nprofile = \"none\"\n", "p.toml:2: profile cannot be tuned"}}) {
    const auto refused = config::ApplyProfile(*config::ParseToml(text, "p.toml"), "p.toml", &configuration);
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(refused.error().message, HasSubstr(message));
    EXPECT_EQ(configuration.settings.threads, 0);
  }
}

TEST(Profile, EveryDifferenceHasAName) {
  const auto difference = [](auto change) {
    ProfileKey other = Key();
    change(other);
    return DifferenceOf(Key(), other);
  };
  EXPECT_THAT(difference([](ProfileKey& k) { k.cpu = "B"; }), HasSubstr("CPU 'A \"CPU\"', here it is 'B'"));
  EXPECT_THAT(difference([](ProfileKey& k) { k.cores = 8; }), HasSubstr("cores: 2, here it is 8"));
  EXPECT_THAT(difference([](ProfileKey& k) { k.cpus = 8; }), HasSubstr("CPUs: 4, here it is 8"));
  EXPECT_THAT(difference([](ProfileKey& k) { k.quota = "none"; }), HasSubstr("quota of 1.50, here it is none"));
  EXPECT_THAT(difference([](ProfileKey& k) { k.isa = "scalar"; }),
              HasSubstr("instruction set avx2, here it is scalar"));
  EXPECT_THAT(difference([](ProfileKey& k) { k.model_bytes = 1; }), HasSubstr("another model file"));
  EXPECT_THAT(difference([](ProfileKey& k) { k.model_digest = "1"; }), HasSubstr("another model file"));
  EXPECT_THAT(difference([](ProfileKey& k) { k.version = "9"; }), HasSubstr("version 0.1.0, here it is 9"));
  EXPECT_EQ(difference([](ProfileKey& k) { k.model = "copy.gguf"; }), "");
}

TEST(Profile, AFileThatIsNoneIsRefused) {
  EXPECT_THAT(ReadProfile("threads = 2\n", "p.toml").error().message, HasSubstr("for_cpu is missing"));
  EXPECT_THAT(ReadProfile("for_cores = \"two\"\n", "p.toml").error().message, HasSubstr("p.toml:1: for_cores must be"));
  EXPECT_THAT(ReadProfile("nonsense", "p.toml").error().message, HasSubstr("p.toml:1:"));
}

TEST(Profile, LiesWhereTheUsersConfigurationLies) {
  EXPECT_EQ(ProfilePath("a/b/m.gguf", "/x", "/h"), "/x/tenfold/profiles/m.toml");
  EXPECT_EQ(ProfilePath("m.gguf", "", "/h"), "/h/.config/tenfold/profiles/m.toml");
  EXPECT_EQ(ProfilePath("m.gguf", "relative", "/h"), "/h/.config/tenfold/profiles/m.toml");
  EXPECT_EQ(ProfilePath("m.gguf", "", ""), "");
  EXPECT_EQ(ProfilePath("", "/x", ""), "");
}

TEST(Profile, TheKeyKnowsAModelByItsBytes) {
  const std::string path = ::testing::TempDir() + fmt::format("/profile_test_{}.gguf", getpid());
  const auto digest = [&](const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
    return KeyHere(path, "1").value().model_digest;
  };
  const std::string middle(300'000, 'm');
  const std::string same = digest("head" + middle + "tail");
  EXPECT_EQ(digest("head" + middle + "tail"), same);
  EXPECT_NE(digest("heaD" + middle + "tail"), same);
  EXPECT_NE(digest("head" + middle + "taiL"), same);
  EXPECT_NE(digest("head" + middle + "mtail"), same);
  EXPECT_FALSE(digest("").empty());
  std::filesystem::remove(path);
  EXPECT_THAT(KeyHere(path, "1").error().message, HasSubstr(path));
}

TEST(Profile, IsWrittenWholeIntoFoldersThatAreMade) {
  const std::string folder = ::testing::TempDir() + fmt::format("/profile_test_{}", getpid());
  const std::string path = folder + "/a/b/p.toml";
  ASSERT_TRUE(WriteWhole(path, "one").ok());
  ASSERT_TRUE(WriteWhole(path, "two").ok());
  std::ifstream file(path);
  std::string text;
  file >> text;
  EXPECT_EQ(text, "two");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder + "/a/b"), {}), 1);
  EXPECT_THAT(WriteWhole(path + "/c.toml", "x").error().message, HasSubstr("c.toml"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace tenfold::tune
