// The life of one phase (one ParallelFor):
//   1. The caller writes the job, then publishes a new ticket word: generation | counter.
//   2. Every thread claims a chunk of items with one fetch_add on the ticket word. The counter starts at
//      kExhausted - chunks, so a claim is good exactly while the bit kExhausted of the word it got back is clear.
//   3. Who gets an exhausted word adds the number of chunks it ran to `done` and waits for the next generation. The
//      caller waits until `done` says that every chunk is over.
//
// Why a late thread can never run a wrong item: it looks at the job only after a good claim, and a phase with an
// unfinished good claim cannot end, so the job it reads is the job of the word it got. A late claim on a finished phase
// comes back exhausted whatever the thread believed before. The generation only tells waiting threads that there is
// something new.
//
// Who lost its CPU in the middle of an item to another process would hold up all for as long as that one's time slice
// lasts, several milliseconds. So whoever has spun in vain looks whether such a thread has used any CPU time, and if
// not, pulls it to its own CPU before it goes to sleep there (Rescue). Done, that thread goes back to another CPU and
// queues there, without an item. With one of two cores taken by an endless loop, part of undisturbed speed (0.6B model,
// medians of interleaved runs): decode of one 0.58 before, 0.87 since; of ten 0.54 and 0.86; prompt of 64 0.55 and 0.87
// (0.75 is half a core lost; the machine's undisturbed runs had some other load as well). Teams of more than two do
// without it: two helpers of one thread could forget where it may run.
//
// Waiting: a pause loop for kSpinUs, then a futex. All ordering is on the atomics themselves, without standalone fences
// (thread sanitizers do not see those).
//
// What a phase costs (bench/thread_pool_bench.cc, two Zen 4 cores of a virtual machine, quiet): 0.15 us when nothing is
// to do, 1 us on top of two items of 5 us; some seven of these in a layer are 0.25 ms of a step of 36 layers. After a
// sleep: 7 to 14 us for the caller's wake-up call, 23 us until a thread runs on another core (60 after 20 ms of
// idleness).
#include "platform/thread_pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <cmath>
#include <system_error>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "platform/cpu.h"

namespace tenfold::platform {
namespace {

constexpr int64_t kSpinUs = 40;               // longer than the gaps inside a step, far shorter than a step
constexpr int64_t kSpinUsOversubscribed = 2;  // spinning then keeps the CPU from the thread that is waited for
constexpr int64_t kStandstillUs = 30;         // without any CPU time in it, a thread has lost its CPU
constexpr uint32_t kExhausted = uint32_t{1} << 31;
constexpr int64_t kMaxChunks = int64_t{1} << 30;
constexpr size_t kCacheLine = 64;

void FutexWait(const std::atomic<uint32_t>& word, uint32_t expected) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
}

void FutexWake(const std::atomic<uint32_t>& word, int threads) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, threads, nullptr, nullptr, 0);
}

// Spins until ready() or the time is over; says which.
template <class Ready>
bool SpinUntil(int64_t spin_us, Ready&& ready) {
  const int64_t deadline = NowUs() + spin_us;
  do {
    for (int i = 0; i < 16; ++i) {
      if (ready()) return true;
      __builtin_ia32_pause();
    }
  } while (NowUs() < deadline);
  return ready();
}

int64_t CpuTimeNs(clockid_t clock) {
  timespec time{};
  return clock_gettime(clock, &time) == 0 ? int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec : -1;
}

// Sends the calling thread from its CPU to another of `cpus`, where it may wait its turn; then it may run on all of
// them.
void LeaveCpu(const cpu_set_t& cpus) {
  cpu_set_t others = cpus;
  const int here = sched_getcpu();
  if (here >= 0 && here < CPU_SETSIZE) CPU_CLR(here, &others);
  if (CPU_COUNT(&others) > 0) sched_setaffinity(0, sizeof others, &others);
  sched_setaffinity(0, sizeof cpus, &cpus);
}

// What others must know of a thread to help it.
struct alignas(kCacheLine) Member {
  enum Rescue { kNone, kPreparing, kMoved };
  std::atomic<bool> holds{false};  // has claimed items of this phase and not reported them
  std::atomic<int> rescue{kNone};
  pid_t id = 0;
  clockid_t clock{};
  cpu_set_t cpus{};  // where it may run; valid while kMoved

  void Enrol() {  // by the thread itself, before its first phase
    id = static_cast<pid_t>(syscall(SYS_gettid));
    if (pthread_getcpuclockid(pthread_self(), &clock) != 0) id = 0;
  }
};

uint32_t GenerationOf(uint64_t ticket) { return static_cast<uint32_t>(ticket >> 32); }

int64_t SpinTimeFor(int threads) {
  const CpuLimits limits = DetectCpuLimits();
  const bool over_cpus = threads > static_cast<int>(limits.cpus.size());
  const bool over_quota = limits.quota_cpus > 0 && threads > std::ceil(limits.quota_cpus);
  return over_cpus || over_quota ? kSpinUsOversubscribed : kSpinUs;
}

}  // namespace

struct ThreadPool::Impl {
  struct Job {
    ItemFn fn = nullptr;
    void* context = nullptr;
    int64_t items = 0;
    int64_t grain = 1;
    uint32_t chunks = 0;
  };

  // Read only while holding a good claim, written only by the caller between phases.
  alignas(kCacheLine) Job job;
  // High 32 bits: generation. Low 32: kExhausted - chunks + claims so far. Starts exhausted.
  alignas(kCacheLine) std::atomic<uint64_t> ticket{kExhausted};
  alignas(kCacheLine) std::atomic<uint32_t> done{0};  // chunks over in this phase; the caller may sleep on it
  std::atomic<bool> caller_sleeps{false};
  alignas(kCacheLine) std::atomic<uint32_t> wake{0};  // changes when sleeping workers are to look again
  std::atomic<int> sleepers{0};
  std::atomic<int> caller_cpu{-1};              // when it last woke somebody
  alignas(kCacheLine) uint32_t generation = 0;  // the caller's own
  bool in_phase = false;
  int64_t spin_us = kSpinUs;
  std::vector<std::thread> workers;
  std::vector<Member> members;  // by worker
  pthread_t caller{};           // who enrolled as worker 0

  // Moves a thread that has lost its CPU in the middle of an item to the calling thread's CPU. `over`: no longer
  // needed.
  template <class Over>
  void Rescue(Member& member, Over&& over) {
    if (spin_us == kSpinUsOversubscribed) return;  // it may well be waiting for us
    // With more threads two could help the same one at once, and its own CPUs be forgotten.
    if (members.size() != 2) return;
    const uint32_t phase = GenerationOf(ticket.load());
    if (!member.holds.load() || member.id == 0) return;
    const int64_t before = CpuTimeNs(member.clock);
    if (SpinUntil(kStandstillUs, over) || !member.holds.load() || CpuTimeNs(member.clock) != before) return;
    const int here = sched_getcpu();
    int none = Member::kNone;
    if (here < 0 || here >= CPU_SETSIZE || !member.rescue.compare_exchange_strong(none, Member::kPreparing)) return;
    // A thread that may not run here was bound by the operator, who will have had a reason.
    if (sched_getaffinity(member.id, sizeof member.cpus, &member.cpus) != 0 || !CPU_ISSET(here, &member.cpus)) {
      member.rescue.store(Member::kNone);
      return;
    }
    const cpu_set_t cpus = member.cpus;
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(here, &only);
    member.rescue.store(Member::kMoved);
    sched_setaffinity(member.id, sizeof only, &only);
    // If it has reported meanwhile it may have gone home before it was moved.
    if (GenerationOf(ticket.load()) == phase && member.holds.load()) return;
    sched_setaffinity(member.id, sizeof cpus, &cpus);
    member.rescue.store(Member::kNone);
  }

  // The calling thread, if it was moved: away from the CPU of who helped, where that one is to run, then free again.
  // The caller stays: who moved it sleeps.
  static void GoHome(Member& member, bool stay) {
    if (member.rescue.load() != Member::kMoved) return;
    const cpu_set_t cpus = member.cpus;
    if (stay) {
      sched_setaffinity(0, sizeof cpus, &cpus);
    } else {
      LeaveCpu(cpus);
    }
    member.rescue.store(Member::kNone);
  }

  // Claims and runs chunks until none is left. Returns the generation of the exhausted word.
  uint32_t Work(int worker) {
    uint32_t ran = 0;
    uint32_t chunks = 0;
    while (true) {
      const uint64_t word = ticket.fetch_add(1, std::memory_order_acq_rel);
      const auto counter = static_cast<uint32_t>(word);
      if (counter & kExhausted) {
        if (ran > 0) {
          members[worker].holds.store(false);
          Report(ran, chunks);
          GoHome(members[worker], worker == 0);
        }
        return GenerationOf(word);
      }
      if (ran == 0) members[worker].holds.store(true);
      chunks = job.chunks;
      const int64_t chunk = counter - (kExhausted - chunks);
      const int64_t first = chunk * job.grain;
      const int64_t last = std::min(first + job.grain, job.items);
      for (int64_t item = first; item < last; ++item) job.fn(job.context, item, worker);
      ++ran;
    }
  }

  void Report(uint32_t ran, uint32_t chunks) {
    const uint32_t before = done.fetch_add(ran);
    if (before + ran == chunks && caller_sleeps.load()) FutexWake(done, 1);
  }

  // Sleepers are woken only as far as there is work for them; those who spin see the new word by themselves.
  void Publish(uint32_t chunks, int wake_threads) {
    ticket.store(uint64_t{++generation} << 32 | (kExhausted - chunks));
    // Sequentially consistent, as is a worker's "count me asleep, then look at the ticket": one of us sees the other.
    if (sleepers.load() > 0) {
      caller_cpu.store(sched_getcpu());
      wake.fetch_add(1);
      FutexWake(wake, wake_threads);
    }
  }

  void WaitForDone(uint32_t chunks) {
    const auto over = [&] { return done.load(std::memory_order_acquire) == chunks; };
    if (over() || SpinUntil(spin_us, over)) return;
    for (size_t worker = 1; worker < members.size(); ++worker) Rescue(members[worker], over);
    caller_sleeps.store(true);
    for (uint32_t seen = done.load(); seen != chunks; seen = done.load()) FutexWait(done, seen);
    caller_sleeps.store(false);
  }

  void WaitForNewGeneration(uint32_t seen) {
    const auto fresh = [&] { return GenerationOf(ticket.load(std::memory_order_acquire)) != seen; };
    if (SpinUntil(spin_us, fresh)) return;
    Rescue(members[0], fresh);
    sleepers.fetch_add(1);
    while (true) {
      const uint32_t before = wake.load();
      if (GenerationOf(ticket.load()) != seen) break;
      FutexWait(wake, before);
    }
    sleepers.fetch_sub(1);
    StepAside();
  }

  // The kernel likes to wake a thread on the CPU of who wakes it, in virtual machines nearly always; there it would
  // take turns with the caller until the next look at the load, up to 4 ms.
  void StepAside() const {
    cpu_set_t cpus;
    if (spin_us == kSpinUsOversubscribed || sched_getcpu() != caller_cpu.load()) return;
    if (sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) > 1) LeaveCpu(cpus);
  }

  void WorkerLoop(int worker, const std::function<void(int)>& on_start) {
    if (on_start) on_start(worker);
    members[worker].Enrol();
    uint32_t seen = 0;
    while (true) {
      WaitForNewGeneration(seen);
      seen = Work(worker);
      if (seen == kStopGeneration) return;
    }
  }

  // Ordinary generations skip this value, so that it means one thing.
  static constexpr uint32_t kStopGeneration = UINT32_MAX;
};

ThreadPool::ThreadPool(int threads, std::function<void(int worker)> on_start) : impl_(std::make_unique<Impl>()) {
  TENFOLD_CHECK(threads >= 1, "a pool has at least its caller");
  impl_->spin_us = SpinTimeFor(threads);
  impl_->members = std::vector<Member>(static_cast<size_t>(threads));
  for (int worker = 1; worker < threads; ++worker) {
    try {
      impl_->workers.emplace_back([impl = impl_.get(), worker, on_start] { impl->WorkerLoop(worker, on_start); });
    } catch (const std::system_error&) {
      Log(LogLevel::kWarn, "the system refused a compute thread; running with fewer (see `ulimit -u`)");
      break;
    }
  }
}

ThreadPool::~ThreadPool() {
  impl_->generation = Impl::kStopGeneration - 1;
  impl_->Publish(0, INT_MAX);
  for (std::thread& worker : impl_->workers) worker.join();
}

int ThreadPool::threads() const { return static_cast<int>(impl_->workers.size()) + 1; }

void ThreadPool::Run(int64_t items, int64_t grain, ItemFn fn, void* context) {
  TENFOLD_CHECK(items >= 0 && grain >= 1, "a phase has no negative number of items and a grain of at least one");
  Impl& impl = *impl_;
  TENFOLD_CHECK(!impl.in_phase, "ParallelFor was called inside ParallelFor");
  impl.in_phase = true;
  grain = std::max(grain, items / kMaxChunks + 1);
  const int64_t chunks = items / grain + (items % grain != 0 ? 1 : 0);
  if (chunks <= 1 || impl.workers.empty()) {
    for (int64_t item = 0; item < items; ++item) fn(context, item, 0);
  } else {
    const auto count = static_cast<uint32_t>(chunks);
    if (impl.caller != pthread_self()) {
      impl.caller = pthread_self();
      impl.members[0].Enrol();
    }
    impl.job = {fn, context, items, grain, count};
    impl.done.store(0, std::memory_order_relaxed);
    if (impl.generation == Impl::kStopGeneration - 1) impl.generation = 0;
    impl.Publish(count, static_cast<int>(chunks - 1));
    impl.Work(0);
    impl.WaitForDone(count);
  }
  impl.in_phase = false;
}

}  // namespace tenfold::platform
