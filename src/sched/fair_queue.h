// Whose request is served next: fair by work done, first come first served within a tenant.
//
// Every tenant (an API key, a user, an address) has a counter of the work done for it. The next request is the oldest
// one of the tenant with the smallest counter, so that a tenant with fifty requests gets the same share as a tenant
// with one, and both get all of the machine when they are alone. This is start-time fair queueing with the work charged
// as it is done, because nobody knows the length of an answer before (Sheng et al., "Fairness in Serving Large Language
// Models", OSDI 2024, call it a virtual token counter). A tenant that returns from idleness starts at the smallest
// counter of those who are active, or at its own where that is larger: being idle earns no credit, and sending one
// request at a time none either.
//
// Bound: the work done for two tenants that both have requests waiting all the time never differs by more than what can
// be charged between two calls of Pop, whatever anybody sends. A value type, deterministic, not thread safe: copies
// answer "in which order would they be served".
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "sched/step_plan.h"

namespace tenfold::sched {

using TenantId = uint64_t;

class FairQueue {
 public:
  // A request of the tenant waits, behind the tenant's others. New to the queue.
  void Push(TenantId tenant, SeqId seq);
  // It waits again, before the tenant's others: it was interrupted, not served.
  void PushFront(TenantId tenant, SeqId seq);
  // The request to serve next, or 0 when none waits. Stays in the queue.
  SeqId Front() const;
  // Takes Front() out; it now counts as being served, until Done(). Needs one that waits.
  SeqId Pop();
  // A waiting request goes away. Must be there.
  void Erase(TenantId tenant, SeqId seq);
  // A served request ends, or goes back to waiting by PushFront.
  void Done(TenantId tenant);
  // `work` (>= 0, any unit, always the same) was done for an active tenant.
  void Charge(TenantId tenant, double work);

  bool empty() const { return waiting_ == 0; }
  int64_t waiting() const { return waiting_; }
  // Of the tenant's requests.
  int64_t waiting(TenantId tenant) const;
  int64_t served(TenantId tenant) const;
  // Its counter; 0 for one that is not remembered.
  double work(TenantId tenant) const;
  // Tenants that are remembered: with a request waiting or served, or with more work than the least of those.
  int64_t tenants() const { return static_cast<int64_t>(tenants_.size()); }
  // All that wait, tenant by tenant.
  std::vector<SeqId> Waiting() const;
  // All that wait, in the order in which they would be served if each cost `work`. O(waiting * log tenants).
  std::vector<SeqId> Order(double work) const;
  // "" or what is wrong. O(waiting).
  std::string CheckIntegrity() const;

 private:
  struct Tenant {
    double work = 0;
    int64_t served = 0;
    std::deque<SeqId> waiting;
    bool active() const { return served > 0 || !waiting.empty(); }
  };
  using Tenants = std::map<TenantId, Tenant>;

  Tenant& Activate(TenantId tenant);
  void ForgetIdle();
  Tenants::const_iterator Next() const;

  Tenants tenants_;
  int64_t waiting_ = 0;
};

}  // namespace tenfold::sched
