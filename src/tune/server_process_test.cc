// Children that do not do what a server should, and what is asked of those that do.
#include "tune/server_process.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/clock.h"
#include "tune/server_trials.h"
#include "tune/simulation_test.h"

namespace tenfold::tune {
namespace {

using ::testing::HasSubstr;

class ServerProcessTest : public ::testing::Test {
 protected:
  void SetUp() override { path_ = ::testing::TempDir() + fmt::format("/server_process_test_{}.sh", getpid()); }
  void TearDown() override { std::filesystem::remove(path_); }
  std::string Script(const std::string& body) const {
    std::ofstream(path_) << "#!/bin/sh\n" << body << "\n";
    chmod(path_.c_str(), 0700);
    return path_;
  }
  static std::string ErrorOf(const std::string& binary, double limit_s) {
    const auto server =
        ServerProcess::Start({binary, {"-m", "x"}, static_cast<int64_t>(limit_s * 1e6)}, [] { return false; });
    return server.ok() ? "ready" : server.error().message;
  }
  std::string path_;
};

TEST_F(ServerProcessTest, WhatCannotBeStartedIsNamed) {
  EXPECT_THAT(ErrorOf("/nonexistent/tenfold", 5), HasSubstr("/nonexistent/tenfold: No such file"));
}

TEST_F(ServerProcessTest, TheLastWordsOfOneThatEnds) {
  EXPECT_THAT(ErrorOf(Script("echo first; echo \"I got $*\" >&2; exit 3"), 5),
              HasSubstr("the server ended: I got serve --host 127.0.0.1 --port 0 -m x"));
  EXPECT_THAT(ErrorOf(Script("exit 0"), 5), HasSubstr("it said nothing"));
}

TEST_F(ServerProcessTest, OneThatHangsEndsInTimeAndIsGone) {
  const std::string pid_file = path_ + ".pid";
  const int64_t begin_us = NowUs();
  EXPECT_THAT(ErrorOf(Script("echo $$ > " + pid_file + "; exec sleep 100"), 0.5), HasSubstr("not ready within 0.5 s"));
  EXPECT_LT(NowUs() - begin_us, 10'000'000);
  pid_t pid = 0;
  std::ifstream(pid_file) >> pid;
  ASSERT_GT(pid, 0);
  EXPECT_NE(kill(pid, 0), 0);
  std::filesystem::remove(pid_file);
}

TEST_F(ServerProcessTest, AStopEndsTheWait) {
  const auto server = ServerProcess::Start({Script("exec sleep 100"), {}, 60'000'000}, [] { return true; });
  ASSERT_FALSE(server.ok());
  EXPECT_EQ(server.error().code, ErrorCode::kCancelled);
}

// A candidate that cannot be measured costs what it took, and says why.
TEST_F(ServerProcessTest, ATrialOfOneThatHangsIsAFailureInTime) {
  const Space space = UsualSpace();
  TrialOptions options;
  options.binary = Script("exec sleep 100");
  options.workload.prompts = {{"a b c d", ""}};
  options.stopped = [] { return false; };
  ServerTrials trials(space, options);
  const Measured measured = trials.Measure({space.defaults(), 1, 0.3, 0.3});
  EXPECT_THAT(measured.failure, HasSubstr("not ready"));
  EXPECT_GE(measured.cost_s, 0.3);
  EXPECT_LT(measured.cost_s, 10);
}

TEST(Workload, AsksNothingTwiceAndCutsWords) {
  const Workload workload{.users = 2, .tokens = 64, .prompts = {{"one two three four", "four"}, {"a b", ""}}};
  const auto texts = [&](double scale, size_t n) {
    std::vector<std::string> out;
    for (const load::Prompt& prompt : PromptsOf(workload, scale, n)) out.push_back(prompt.text);
    return out;
  };
  EXPECT_THAT(texts(1, 0), ::testing::ElementsAre("one two three four", "a b"));
  EXPECT_THAT(texts(0.5, 0), ::testing::ElementsAre("one two", "a"));
  EXPECT_THAT(texts(0.125, 1), ::testing::ElementsAre("(2)", "(2)"));
  EXPECT_NE(texts(1, 0), texts(1, 1));
  EXPECT_EQ(PromptsOf(workload, 0.5, 0)[0].expect, "") << "of half a question nobody knows the answer";
  EXPECT_EQ(TokensOf(workload, 1), 64);
  EXPECT_EQ(TokensOf(workload, 0.25), 16);
  EXPECT_EQ(TokensOf(workload, 0.01), 2);
}

TEST(Workload, AsManyServersAsMemoryHolds) {
  constexpr uint64_t kGiB = uint64_t{1} << 30;
  EXPECT_EQ(ServersThatFit(4 * kGiB, 3 * kGiB), 1u);
  EXPECT_EQ(ServersThatFit(4 * kGiB, 12 * kGiB), 2u);
  EXPECT_EQ(ServersThatFit(kGiB / 1000, 64 * kGiB), 3u);
}

}  // namespace
}  // namespace tenfold::tune
