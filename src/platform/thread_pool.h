// A fixed team of compute threads that share short lists of work items.
//
// What it does: hands out items one by one from one atomic counter (no static split: a slow or preempted neighbour only
// holds what it took), spins briefly between phases, then sleeps. What it does not: queue tasks, nest, or own the loop:
// the caller is worker 0.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>

namespace tenfold::platform {

class ThreadPool {
 public:
  // `threads` >= 1 in all, the caller included, so threads - 1 are started. `on_start` (may be empty) runs once in each
  // started thread (to set flush-to-zero, a name, affinity); the caller does the same for itself. When the system
  // refuses a thread the pool runs with those it has and logs a warning: ask threads().
  ThreadPool(int threads, std::function<void(int worker)> on_start);
  ~ThreadPool();  // joins
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  // Runs fn(item, worker) for every item in [0, items), worker in [0, threads()). Returns when all are done, with their
  // writes visible to the caller. One caller at a time; the caller is worker 0. Items are claimed in order, `grain` >=
  // 1 at a time; when there is no more than one grain the caller runs it alone. fn must not throw and must not call
  // ParallelFor.
  template <class Fn>
  void ParallelFor(int64_t items, Fn&& fn, int64_t grain = 1) {
    using Function = std::remove_reference_t<Fn>;
    Run(
        items, grain, [](void* context, int64_t item, int worker) { (*static_cast<Function*>(context))(item, worker); },
        const_cast<void*>(static_cast<const void*>(&fn)));
  }

 private:
  using ItemFn = void (*)(void* context, int64_t item, int worker);
  void Run(int64_t items, int64_t grain, ItemFn fn, void* context);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tenfold::platform
