#include "kv/block_pool.h"

#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <random>
#include <set>

namespace tenfold::kv {
namespace {

TEST(PagesFor, RoundsUp) {
  EXPECT_EQ(PagesFor(0), 0);
  EXPECT_EQ(PagesFor(1), 1);
  EXPECT_EQ(PagesFor(16), 1);
  EXPECT_EQ(PagesFor(17), 2);
  EXPECT_EQ(PagesFor(std::numeric_limits<int64_t>::max()), std::numeric_limits<int64_t>::max() / 16 + 1);
}

TEST(BlockPool, HandsOutEveryPageOnceThenNothing) {
  BlockPool pool(5);
  std::set<PageId> pages;
  for (int i = 0; i < 5; ++i) pages.insert(pool.Allocate().value());
  EXPECT_EQ(pages, (std::set<PageId>{0, 1, 2, 3, 4}));
  EXPECT_EQ(pool.Allocate(), std::nullopt);
  EXPECT_EQ(pool.free(), 0);
  EXPECT_EQ(pool.used(), 5);
  EXPECT_EQ(pool.CheckIntegrity(), "");
  pool.Release(3);
  EXPECT_EQ(pool.Allocate(), 3);
}

TEST(BlockPool, SharedPageLivesUntilItsLastReferenceGoes) {
  BlockPool pool(1);
  const PageId page = pool.Allocate().value();
  pool.AddRef(page);
  EXPECT_EQ(pool.refs(page), 2);
  pool.Release(page);
  EXPECT_EQ(pool.free(), 0);
  EXPECT_EQ(pool.CheckIntegrity(), "");
  pool.Release(page);
  EXPECT_EQ(pool.free(), 1);
}

TEST(BlockPool, EmptyPool) {
  BlockPool pool(0);
  EXPECT_EQ(pool.Allocate(), std::nullopt);
  EXPECT_EQ(pool.CheckIntegrity(), "");
}

TEST(BlockPoolDeathTest, MisuseIsABug) {
  BlockPool pool(2);
  const PageId page = pool.Allocate().value();
  EXPECT_DEATH(pool.Release(page + 1), "free page was released");
  EXPECT_DEATH(pool.AddRef(page + 1), "added to a free page");
  EXPECT_DEATH(pool.Release(2), "outside of the pool");
  EXPECT_DEATH(pool.Release(-1), "outside of the pool");
  EXPECT_DEATH(BlockPool(-1), "negative");
}

TEST(BlockPool, RandomUseAgreesWithAModel) {
  BlockPool pool(13);
  std::map<PageId, int> model;  // page -> references
  std::mt19937 random(7);
  for (int step = 0; step < 20'000; ++step) {
    const auto pick = [&] { return std::next(model.begin(), random() % model.size()); };
    const unsigned kind = random() % 4;
    if (kind < 2) {
      const auto page = pool.Allocate();
      ASSERT_EQ(page.has_value(), model.size() < 13);
      if (page) {
        ASSERT_TRUE(model.emplace(*page, 1).second) << "page given out while in use";
      }
    } else if (kind == 2 && !model.empty()) {
      const auto it = pick();
      pool.AddRef(it->first);
      ++it->second;
    } else if (!model.empty()) {
      const auto it = pick();
      pool.Release(it->first);
      if (--it->second == 0) model.erase(it);
    }
    for (const auto& [page, refs] : model) ASSERT_EQ(pool.refs(page), refs);
    ASSERT_EQ(pool.used(), static_cast<int>(model.size()));
    ASSERT_EQ(pool.CheckIntegrity(), "");
  }
}

}  // namespace
}  // namespace tenfold::kv
