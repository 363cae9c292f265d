#include "sched/fair_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace tenfold::sched {
namespace {

using testing::ElementsAre;

TEST(FairQueue, OneTenantIsServedInOrder) {
  FairQueue queue;
  EXPECT_EQ(queue.Front(), 0);
  for (const SeqId seq : {1, 2, 3}) queue.Push(7, seq);
  EXPECT_THAT(queue.Order(1), ElementsAre(1, 2, 3));
  EXPECT_EQ(queue.Pop(), 1);
  queue.Erase(7, 2);
  EXPECT_EQ(queue.Front(), 3);
  EXPECT_EQ(queue.served(7), 1);
  EXPECT_EQ(queue.CheckIntegrity(), "");
}

TEST(FairQueue, ALateTenantWithOneRequestComesBeforeTheFortyOfAnother) {
  FairQueue queue;
  for (SeqId seq = 1; seq <= 40; ++seq) queue.Push(1, seq);
  for (int i = 0; i < 10; ++i) queue.Pop();
  queue.Charge(1, 100);
  queue.Push(2, 41);
  // It starts where the other is, so the first served stays older; the next charge decides.
  queue.Charge(1, 1);
  EXPECT_EQ(queue.Pop(), 41);
  EXPECT_EQ(queue.Pop(), 11);
}

TEST(FairQueue, BeingIdleEarnsNoCredit) {
  FairQueue queue;
  queue.Push(1, 1);
  queue.Push(2, 2);
  queue.Pop();
  queue.Pop();
  queue.Charge(1, 1000);
  queue.Charge(2, 1000);
  queue.Done(2);  // leaves; the other works on
  queue.Charge(1, 500);
  for (const SeqId seq : {3, 4, 5}) queue.Push(2, seq);
  queue.Push(1, 6);
  // With its old counter the second would be served 500 of work before the first.
  EXPECT_THAT(queue.Order(1), ElementsAre(3, 6, 4, 5));
}

TEST(FairQueue, SendingOneRequestAtATimeEarnsNothing) {
  FairQueue queue;
  for (SeqId seq = 1; seq <= 9; ++seq) queue.Push(1, seq);
  queue.Push(2, 10);
  EXPECT_EQ(queue.Pop(), 1);
  queue.Charge(1, 10);
  queue.Done(1);
  EXPECT_EQ(queue.Pop(), 10);
  queue.Charge(2, 100);
  queue.Done(2);
  queue.Push(2, 11);  // is still 90 ahead
  EXPECT_THAT(queue.Order(10), ElementsAre(2, 3, 4, 5, 6, 7, 8, 9, 11));
}

TEST(FairQueue, IdleTenantsAreForgotten) {
  FairQueue queue;
  for (SeqId seq = 1; seq <= 1000; ++seq) {
    queue.Push(static_cast<TenantId>(seq), seq);
    queue.Pop();
    queue.Charge(static_cast<TenantId>(seq), 5);
    queue.Done(static_cast<TenantId>(seq));
  }
  EXPECT_LE(queue.tenants(), 2);
}

TEST(FairQueue, OneThatWasInterruptedComesBeforeItsTenantsOthers) {
  FairQueue queue;
  queue.Push(1, 1);
  queue.Push(1, 2);
  EXPECT_EQ(queue.Pop(), 1);
  queue.PushFront(1, 1);
  queue.Done(1);
  EXPECT_THAT(queue.Order(1), ElementsAre(1, 2));
  EXPECT_EQ(queue.served(1), 0);
}

// Whoever always has something waiting gets the same work as everybody else like that, whatever each request costs and
// however many the others send.
TEST(FairQueue, RandomLoadsShareTheWorkWithinOneRequest) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    std::mt19937_64 random(seed);
    FairQueue queue;
    constexpr int kTenants = 5;
    constexpr double kMost = 30;
    double done[kTenants] = {};
    SeqId next = 1;
    for (int step = 0; step < 3000; ++step) {
      for (TenantId t = 0; t < kTenants; ++t) {
        while (queue.waiting(t) < static_cast<int64_t>(2 + t * t)) queue.Push(t, next++);
      }
      TenantId served_tenant = 0;
      const std::vector<SeqId> before = queue.Order(1);
      const SeqId served = queue.Pop();
      ASSERT_EQ(served, before.front());
      for (TenantId t = 0; t < kTenants; ++t) {
        if (queue.served(t) > 0) served_tenant = t;
      }
      const double work = 1 + static_cast<double>(random() % 29);
      queue.Charge(served_tenant, work);
      done[served_tenant] += work;
      queue.Done(served_tenant);
      ASSERT_EQ(queue.CheckIntegrity(), "");
      for (const double a : done) {
        for (const double b : done) ASSERT_LE(a - b, kMost) << "seed " << seed << " step " << step;
      }
    }
  }
}

TEST(FairQueue, RandomOperationsKeepEveryRequest) {
  std::mt19937_64 random(5);
  FairQueue queue;
  std::map<SeqId, TenantId> waiting, served;
  SeqId next = 1;
  for (int step = 0; step < 5000; ++step) {
    const uint64_t what = random() % 5;
    if (what < 2) {
      waiting[next] = random() % 7;
      queue.Push(waiting[next], next);
      ++next;
    } else if (what == 2 && !waiting.empty()) {
      const SeqId seq = queue.Pop();
      ASSERT_TRUE(waiting.contains(seq));
      served[seq] = waiting[seq];
      waiting.erase(seq);
      queue.Charge(served[seq], static_cast<double>(random() % 100));
    } else if (what == 3 && !served.empty()) {
      const auto [seq, tenant] = *served.begin();
      served.erase(seq);
      if (random() % 3 == 0) {
        queue.PushFront(tenant, seq);
        waiting[seq] = tenant;
      }
      queue.Done(tenant);
    } else if (what == 4 && !waiting.empty()) {
      const auto [seq, tenant] = *waiting.begin();
      queue.Erase(tenant, seq);
      waiting.erase(seq);
    }
    ASSERT_EQ(queue.CheckIntegrity(), "");
    ASSERT_EQ(queue.waiting(), std::ssize(waiting));
    ASSERT_EQ(queue.Order(3).size(), waiting.size());
  }
}

}  // namespace
}  // namespace tenfold::sched
