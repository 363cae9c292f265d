#include "load/token_count.h"

#include <gtest/gtest.h>

namespace tenfold::load {
namespace {

TEST(CountTokens, BelievesWhatMayBeTrue) {
  for (const TextSeen seen :
       {TextSeen{64, 300, 64}, TextSeen{65, 300, 64}, TextSeen{8, 300, 64}, TextSeen{1, 24, 64}}) {
    const TokenCount count = CountTokens(64, seen);
    EXPECT_EQ(count.tokens, 64);
    EXPECT_FALSE(count.estimated);
    EXPECT_EQ(count.doubt, "");
  }
}

TEST(CountTokens, CountsEventsWhereNothingWasSaid) {
  const TokenCount count = CountTokens(-1, {.events = 5, .bytes = 20, .most = 64});
  EXPECT_EQ(count.tokens, 5);
  EXPECT_TRUE(count.estimated);
  EXPECT_EQ(count.doubt, "");
}

TEST(CountTokens, NamesLies) {
  // More than allowed; fewer than came; more than the text can hold.
  for (const auto& [said, seen] :
       {std::pair{65, TextSeen{64, 300, 64}}, std::pair{3, TextSeen{5, 30, 64}}, std::pair{64, TextSeen{3, 23, 64}}}) {
    const TokenCount count = CountTokens(said, seen);
    EXPECT_EQ(count.tokens, seen.events) << said;
    EXPECT_TRUE(count.estimated);
    EXPECT_NE(count.doubt, "");
  }
}

}  // namespace
}  // namespace tenfold::load
