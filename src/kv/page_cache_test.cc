// The cache against a model that knows the content of every page: each operation, random chains of them, and keys that
// collide on purpose.
#include "kv/page_cache.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace tenfold::kv {
namespace {

constexpr uint64_t kSeed = 42;
using Tokens = std::vector<int32_t>;

Tokens Page(int32_t first) {
  Tokens tokens;
  for (int32_t i = 0; i < kPageTokens; ++i) tokens.push_back(first + i);
  return tokens;
}
PageTokens View(const Tokens& tokens) { return PageTokens(tokens.data(), kPageTokens); }

TEST(PrefixKey, DependsOnSaltTokensAndEverythingBefore) {
  const PrefixKey root = RootKey("", kSeed);
  EXPECT_EQ(root, RootKey("", kSeed));
  EXPECT_NE(root, RootKey("a", kSeed));
  EXPECT_NE(root, RootKey("", kSeed + 1));
  const PrefixKey first = NextKey(root, View(Page(0)), kSeed);
  EXPECT_NE(first, NextKey(root, View(Page(1)), kSeed));
  EXPECT_NE(first, NextKey(RootKey("a", kSeed), View(Page(0)), kSeed));
  EXPECT_NE(first, NextKey(root, View(Page(0)), kSeed + 1));
  EXPECT_NE(NextKey(first, View(Page(0)), kSeed), first);
  // A salt that is, byte for byte, what a page's key is made of is no way into its place.
  Tokens page = Page(0);
  std::string forged(reinterpret_cast<const char*>(&root.low), 8);
  forged.append(reinterpret_cast<const char*>(&root.high), 8);
  forged.append(reinterpret_cast<const char*>(page.data()), 64);
  EXPECT_NE(RootKey(forged, kSeed), first);
}

TEST(PageCache, APublishedPageStaysFindableUntilItsMemoryIsNeeded) {
  PageCache cache(2);
  const PrefixKey key = NextKey(RootKey("", kSeed), View(Page(0)), kSeed);
  const PageId page = cache.Allocate().value();
  EXPECT_EQ(cache.Publish(page, key, kNoPage, View(Page(0))), page);
  EXPECT_EQ(cache.used(), 1);
  cache.Release(page);
  EXPECT_EQ(cache.used(), 0);
  EXPECT_EQ(cache.idle(), 1);
  EXPECT_EQ(cache.available(), 2);
  EXPECT_EQ(cache.Find(key, kNoPage, View(Page(0))), page);
  cache.Hold(page);
  EXPECT_EQ(cache.idle(), 0);
  EXPECT_EQ(cache.holders(page), 1);
  cache.Release(page);
  EXPECT_NE(cache.Allocate(), page) << "free memory first";
  EXPECT_EQ(cache.Allocate(), page);
  EXPECT_EQ(cache.Find(key, kNoPage, View(Page(0))), std::nullopt);
  EXPECT_EQ(cache.Allocate(), std::nullopt);
  EXPECT_EQ(cache.evictions(), 1u);
  EXPECT_EQ(cache.CheckIntegrity(), "");
}

TEST(PageCache, TheLongestIdleGoesFirst) {
  PageCache cache(3);
  std::vector<PageId> pages;
  std::vector<PrefixKey> keys;
  for (int32_t i = 0; i < 3; ++i) {
    keys.push_back(NextKey(RootKey("", kSeed), View(Page(i)), kSeed));
    pages.push_back(cache.Publish(cache.Allocate().value(), keys.back(), kNoPage, View(Page(i))));
  }
  for (const int i : {1, 0, 2}) cache.Release(pages[static_cast<size_t>(i)]);
  cache.Hold(pages[1]);  // used again: now the youngest
  cache.Release(pages[1]);
  EXPECT_EQ(cache.Allocate(), pages[0]);
  EXPECT_EQ(cache.Allocate(), pages[2]);
  EXPECT_EQ(cache.CheckIntegrity(), "");
  EXPECT_EQ(cache.Allocate(), pages[1]);
}

TEST(PageCache, TheSecondCopyOfAPrefixIsGivenUpForTheFirst) {
  PageCache cache(2);
  const PrefixKey key = NextKey(RootKey("", kSeed), View(Page(0)), kSeed);
  const PageId first = cache.Publish(cache.Allocate().value(), key, kNoPage, View(Page(0)));
  const PageId second = cache.Allocate().value();
  EXPECT_EQ(cache.Publish(second, key, kNoPage, View(Page(0))), first);
  EXPECT_EQ(cache.holders(first), 2);
  EXPECT_EQ(cache.Allocate(), second) << "free again";
  EXPECT_EQ(cache.CheckIntegrity(), "");
}

// Even if a hash failed, content would not be mixed up.
TEST(PageCache, EqualKeysOfOtherTokensOrParentsAreNoMatch) {
  PageCache cache(4);
  const PrefixKey key{1, 2};
  const PageId first = cache.Publish(cache.Allocate().value(), key, kNoPage, View(Page(0)));
  EXPECT_EQ(cache.Find(key, kNoPage, View(Page(7))), std::nullopt);
  EXPECT_EQ(cache.Find(key, first, View(Page(0))), std::nullopt);
  const PageId other = cache.Allocate().value();
  EXPECT_EQ(cache.Publish(other, key, kNoPage, View(Page(7))), other);
  EXPECT_FALSE(cache.IsPublished(other));
  EXPECT_EQ(cache.Find(key, kNoPage, View(Page(0))), first);
  cache.Release(other);
  EXPECT_EQ(cache.idle(), 0) << "what is not published is free at once";
  EXPECT_EQ(cache.CheckIntegrity(), "");
}

TEST(PageCacheDeathTest, MisuseIsABug) {
  PageCache cache(3);
  const PageId page = cache.Allocate().value();
  EXPECT_DEATH(cache.Release(page + 1), "nobody holds");
  EXPECT_DEATH(cache.Hold(page + 1), "free page");
  EXPECT_DEATH(cache.Publish(page + 1, {1, 2}, kNoPage, View(Page(0))), "one holder");
  EXPECT_DEATH(cache.Publish(page, {1, 2}, page + 1, View(Page(0))), "parent");
  cache.Publish(page, {1, 2}, kNoPage, View(Page(0)));
  EXPECT_DEATH(cache.Publish(page, {1, 3}, kNoPage, View(Page(0))), "once");
  cache.Release(page);
  EXPECT_DEATH(cache.Release(page), "nobody holds");
}

// Holders as sequences are, chains of pages grown, shared, shortened and dropped from the end, with few different
// tokens so that they meet often. `content` is what each page was filled with, from the root on.
TEST(PageCache, RandomChainsNeverGetAnothersContent) {
  using Chain = std::vector<int32_t>;  // salt, then the first token of each page
  struct Holder {
    Chain chain;
    std::vector<PageId> pages;
    PrefixKey key;
  };
  std::mt19937 random(11);
  int64_t found = 0;
  for (int life = 0; life < 20; ++life) {
    PageCache cache(5 + static_cast<int32_t>(random() % 20));
    std::map<PageId, Chain> content;
    std::vector<Holder> holders;
    for (int step = 0; step < 2'000; ++step) {
      const unsigned kind = random() % 10;
      if (holders.empty() || (kind == 0 && holders.size() < 6)) {
        const auto salt = static_cast<int32_t>(random() % 2);
        holders.push_back({{salt}, {}, RootKey(std::to_string(salt), kSeed)});
      }
      Holder& holder = holders[random() % holders.size()];
      if (kind <= 7) {  // the next page: found, or filled
        const auto token = static_cast<int32_t>(random() % 3);
        const PrefixKey key = NextKey(holder.key, View(Page(token)), kSeed);
        const PageId parent = holder.pages.empty() ? kNoPage : holder.pages.back();
        Chain chain = holder.chain;
        chain.push_back(token);
        std::optional<PageId> page = kind < 5 ? cache.Find(key, parent, View(Page(token))) : std::nullopt;
        if (page) {
          ++found;
          ASSERT_EQ(content.at(*page), chain);
          cache.Hold(*page);
        } else if ((page = cache.Allocate())) {
          content[*page] = chain;  // written
          page = cache.Publish(*page, key, parent, View(Page(token)));
          ASSERT_EQ(content.at(*page), chain);
        }
        if (page) {
          holder.pages.push_back(*page);
          holder.chain = chain;
          holder.key = key;
        }
      } else {  // lets go of the end, or of all
        size_t keep = kind == 8 ? 0 : random() % (holder.pages.size() + 1);
        while (holder.pages.size() > keep) {
          cache.Release(holder.pages.back());
          holder.pages.pop_back();
          holder.chain.pop_back();
        }
        holder.key = RootKey(std::to_string(holder.chain[0]), kSeed);
        for (size_t i = 1; i < holder.chain.size(); ++i) {
          holder.key = NextKey(holder.key, View(Page(holder.chain[i])), kSeed);
        }
      }
      ASSERT_EQ(cache.CheckIntegrity(), "") << "step " << step;
      std::map<PageId, int> held;
      for (const Holder& h : holders) {
        for (size_t i = 0; i < h.pages.size(); ++i) {
          ++held[h.pages[i]];
          ASSERT_EQ(content.at(h.pages[i]),
                    Chain(h.chain.begin(), h.chain.begin() + static_cast<std::ptrdiff_t>(i) + 2));
        }
      }
      for (const auto& [page, n] : held) ASSERT_EQ(cache.holders(page), n);
      ASSERT_EQ(cache.used(), static_cast<int>(held.size()));
    }
  }
  EXPECT_GT(found, 1'000);
}

}  // namespace
}  // namespace tenfold::kv
