#include "sched/fair_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <queue>

#include "base/check.h"

namespace tenfold::sched {

FairQueue::Tenant& FairQueue::Activate(TenantId tenant) {
  ForgetIdle();
  const auto found = tenants_.find(tenant);
  if (found != tenants_.end()) return found->second;
  // Idle ones were forgotten but for those above the active ones' least, so this is the active ones' least.
  double least = 0;
  for (auto it = tenants_.begin(); it != tenants_.end(); ++it) {
    least = it == tenants_.begin() ? it->second.work : std::min(least, it->second.work);
  }
  Tenant& added = tenants_[tenant];
  added.work = least;
  return added;
}

// An idle tenant's counter matters only while it is above that of somebody who is active: it would come back at theirs.
void FairQueue::ForgetIdle() {
  bool any = false;
  double least = 0;
  for (const auto& [id, tenant] : tenants_) {
    if (!tenant.active()) continue;
    least = any ? std::min(least, tenant.work) : tenant.work;
    any = true;
  }
  std::erase_if(tenants_,
                [&](const auto& entry) { return !entry.second.active() && (!any || entry.second.work <= least); });
}

void FairQueue::Push(TenantId tenant, SeqId seq) {
  Activate(tenant).waiting.push_back(seq);
  ++waiting_;
}

void FairQueue::PushFront(TenantId tenant, SeqId seq) {
  Activate(tenant).waiting.push_front(seq);
  ++waiting_;
}

// Between equals the one whose oldest request came first; ids go up with arrival.
FairQueue::Tenants::const_iterator FairQueue::Next() const {
  auto best = tenants_.end();
  for (auto it = tenants_.begin(); it != tenants_.end(); ++it) {
    if (it->second.waiting.empty()) continue;
    if (best == tenants_.end() || it->second.work < best->second.work ||
        (it->second.work == best->second.work && it->second.waiting.front() < best->second.waiting.front())) {
      best = it;
    }
  }
  return best;
}

SeqId FairQueue::Front() const {
  const auto next = Next();
  return next == tenants_.end() ? 0 : next->second.waiting.front();
}

SeqId FairQueue::Pop() {
  const auto next = Next();
  TENFOLD_CHECK(next != tenants_.end(), "nobody waits to be served");
  Tenant& tenant = tenants_.find(next->first)->second;
  const SeqId seq = tenant.waiting.front();
  tenant.waiting.pop_front();
  ++tenant.served;
  --waiting_;
  return seq;
}

void FairQueue::Erase(TenantId tenant, SeqId seq) {
  const auto found = tenants_.find(tenant);
  TENFOLD_CHECK(found != tenants_.end(), "no such tenant waits");
  auto& waiting = found->second.waiting;
  const auto at = std::find(waiting.begin(), waiting.end(), seq);
  TENFOLD_CHECK(at != waiting.end(), "no such request waits");
  waiting.erase(at);
  --waiting_;
}

void FairQueue::Done(TenantId tenant) {
  const auto found = tenants_.find(tenant);
  TENFOLD_CHECK(found != tenants_.end() && found->second.served > 0, "nothing of the tenant is being served");
  --found->second.served;
}

void FairQueue::Charge(TenantId tenant, double work) {
  const auto found = tenants_.find(tenant);
  TENFOLD_CHECK(found != tenants_.end() && work >= 0, "work is charged to a tenant that has requests");
  found->second.work += work;
}

int64_t FairQueue::waiting(TenantId tenant) const {
  const auto found = tenants_.find(tenant);
  return found == tenants_.end() ? 0 : static_cast<int64_t>(found->second.waiting.size());
}

int64_t FairQueue::served(TenantId tenant) const {
  const auto found = tenants_.find(tenant);
  return found == tenants_.end() ? 0 : found->second.served;
}

double FairQueue::work(TenantId tenant) const {
  const auto found = tenants_.find(tenant);
  return found == tenants_.end() ? 0 : found->second.work;
}

std::vector<SeqId> FairQueue::Waiting() const {
  std::vector<SeqId> all;
  for (const auto& [id, tenant] : tenants_) all.insert(all.end(), tenant.waiting.begin(), tenant.waiting.end());
  return all;
}

std::vector<SeqId> FairQueue::Order(double work) const {
  struct Next {
    double work;
    const std::deque<SeqId>* waiting;
    size_t at;
    SeqId front() const { return (*waiting)[at]; }
    bool operator<(const Next& o) const { return work != o.work ? work > o.work : front() > o.front(); }
  };
  std::priority_queue<Next> heap;
  for (const auto& [id, tenant] : tenants_) {
    if (!tenant.waiting.empty()) heap.push({tenant.work, &tenant.waiting, 0});
  }
  std::vector<SeqId> order;
  order.reserve(static_cast<size_t>(waiting_));
  while (!heap.empty()) {
    Next next = heap.top();
    heap.pop();
    order.push_back(next.front());
    next.work += work;
    if (++next.at < next.waiting->size()) heap.push(next);
  }
  return order;
}

std::string FairQueue::CheckIntegrity() const {
  int64_t waiting = 0;
  for (const auto& [id, tenant] : tenants_) {
    waiting += static_cast<int64_t>(tenant.waiting.size());
    if (tenant.served < 0) return fmt::format("tenant {:x} is served {} requests", id, tenant.served);
  }
  if (waiting != waiting_) return fmt::format("{} requests wait, {} were counted", waiting, waiting_);
  return "";
}

}  // namespace tenfold::sched
