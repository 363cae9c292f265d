#include "sched/prompt_shares.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <random>

namespace tenfold::sched {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<int64_t> Share(const std::vector<int64_t>& lefts, int64_t budget) {
  std::vector<PromptDemand> demands;
  for (const int64_t left : lefts) demands.push_back({left, left});
  return SharePromptTokens(demands, budget);
}

TEST(SharePromptTokens, HalfIsTheOldestsAndTheRestGoesToTheShortest) {
  EXPECT_THAT(Share({}, 10), IsEmpty());
  EXPECT_THAT(Share({100}, 10), ElementsAre(10));
  EXPECT_THAT(Share({3}, 10), ElementsAre(3));
  EXPECT_THAT(Share({100, 100}, 11), ElementsAre(11, 0)) << "equal: the older one";
  EXPECT_THAT(Share({100, 50, 3}, 10), ElementsAre(5, 2, 3));
  EXPECT_THAT(Share({100, 2, 1}, 10), ElementsAre(7, 2, 1));
  EXPECT_THAT(Share({2, 50, 9}, 20), ElementsAre(2, 9, 9));
  EXPECT_THAT(Share({100, 1}, 1), ElementsAre(1, 0));
  EXPECT_THAT(Share({100, 1}, 0), ElementsAre(0, 0));
}

TEST(SharePromptTokens, RanksDecideNotDemands) {
  const PromptDemand demands[] = {{100, 100}, {60, 60}, {90, 20}};  // somebody short waits for the third
  EXPECT_THAT(SharePromptTokens(demands, 40), ElementsAre(20, 0, 20));
}

TEST(SharePromptTokens, NothingIsWastedAndTheOldestIsSafe) {
  std::mt19937 random(5);
  for (int i = 0; i < 2'000; ++i) {
    std::vector<PromptDemand> demands(1 + random() % 9);
    int64_t wanted = 0;
    for (PromptDemand& d : demands) {
      d = {static_cast<int64_t>(random() % 50), static_cast<int64_t>(random() % 50)};
      wanted += d.tokens;
    }
    const auto budget = static_cast<int64_t>(random() % 120);
    const auto shares = SharePromptTokens(demands, budget);
    EXPECT_EQ(std::accumulate(shares.begin(), shares.end(), int64_t{0}), std::min(budget, wanted));
    EXPECT_GE(shares[0], std::min(demands[0].tokens, (budget + 1) / 2));
    for (size_t d = 0; d < demands.size(); ++d) {
      EXPECT_GE(shares[d], 0);
      EXPECT_LE(shares[d], demands[d].tokens);
    }
  }
}

}  // namespace
}  // namespace tenfold::sched
