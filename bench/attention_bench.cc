// Attention over pages: decode (one token, 8 KV heads of 4 query heads) as bytes of K and V read per second, prefill
// (2 to 32 tokens, one KV head) as multiply-adds per second, in float and in int16, beside what the machine can do at
// all: the kernel list's peak loops and a plain read of the same memory.
//
//   attention_bench [--benchmark_filter=...]
//
// The pool is larger than the last-level cache. Its pages are taken in order, as by the first requests of a server;
// "shuffled": at random, as after hours of serving; "cached": the same few over and over.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "cycles.h"
#include "kernels/attention.h"
#include "kernels/isa.h"
#include "kernels/peak.h"
#include "platform/memory.h"

namespace tenfold::kernels {
namespace {

constexpr int64_t kHeadDim = 128;
constexpr int64_t kHeads = 4;
constexpr int64_t kKvHeads = 8;
constexpr size_t kPoolBytes = size_t{512} << 20;

// One pool for all benchmarks, filled with small finite halves.
uint8_t* Pool() {
  static platform::HugeBuffer* const buffer = [] {
    auto* b = new platform::HugeBuffer(std::move(platform::HugeBuffer::Allocate(kPoolBytes).value()));
    std::mt19937 random(1);
    auto* halves = reinterpret_cast<uint16_t*>(b->data());
    for (size_t i = 0; i < kPoolBytes / 2; ++i) halves[i] = static_cast<uint16_t>((random() & 0x83FF) | 0x3400);
    return b;
  }();
  return buffer->data();
}

enum class Order { kRising, kShuffled, kCached };

std::vector<int32_t> PageIds(Order order, size_t page_bytes) {
  std::vector<int32_t> ids(kPoolBytes / page_bytes);
  std::iota(ids.begin(), ids.end(), 0);
  if (order == Order::kShuffled) std::shuffle(ids.begin(), ids.end(), std::mt19937(2));
  if (order == Order::kCached) {
    for (int32_t& id : ids) id %= 4;
  }
  return ids;
}

struct Case {
  Isa isa;
  KvFormat format;
  Order order;
  int64_t length;
  int64_t n_tokens;
  AttendArithmetic arithmetic = AttendArithmetic::kFloat;
};

void RunAttend(benchmark::State& state, const Case& c) {
  const int64_t length = c.length;
  const int64_t n_tokens = c.n_tokens;
  const size_t page_bytes = kKvHeads * KvPageBytes(kHeadDim, c.format);
  const std::vector<int32_t> ids = PageIds(c.order, page_bytes);
  AttendItem item;
  item.pages = {Pool(), page_bytes, KvPageBytes(kHeadDim, c.format), {}, c.format};
  item.arithmetic = c.arithmetic;
  item.first_position = length - n_tokens;
  item.n_tokens = n_tokens;
  item.kv_heads = n_tokens == 1 ? kKvHeads : 1;
  item.n_heads = kHeads;
  item.head_dim = kHeadDim;
  item.scale = 0.088f;
  item.q_stride = item.out_stride = kKvHeads * kHeads * kHeadDim;
  const std::vector<float> q(n_tokens * item.q_stride, 0.05f);
  std::vector<float> out(q.size());
  item.q = q.data();
  item.out = out.data();
  const auto pages_used = static_cast<size_t>((length + kPageTokens - 1) / kPageTokens);
  std::vector<uint8_t> memory(AttendScratchBytes(item) + 64);
  uint8_t* const scratch = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64;
  size_t first_page = 0;
  const CycleClock clock;
  for (auto _ : state) {
    if (first_page + pages_used > ids.size()) first_page = 0;
    item.pages.page_ids = {ids.data() + first_page, pages_used};
    Attend(c.isa, item, scratch);
    first_page += pages_used;
    benchmark::DoNotOptimize(out.data());
  }
  const auto runs = static_cast<double>(state.iterations());
  const double positions = static_cast<double>(length) - static_cast<double>(n_tokens - 1) / 2;  // mean per token
  const double bytes =
      static_cast<double>(item.kv_heads * length / kPageTokens) * static_cast<double>(KvPageBytes(kHeadDim, c.format));
  const double macs = positions * static_cast<double>(n_tokens * item.kv_heads * kHeads * kHeadDim * 2);
  clock.Report(state, runs * macs, runs * bytes);
}

// The wall decode runs into.
void ReadPool(benchmark::State& state) {
  const uint8_t* const pool = Pool();  // filled here, not in the loop
  uint64_t sum = 0;
  for (auto _ : state) benchmark::DoNotOptimize(sum ^= ReadMemory(pool, kPoolBytes, 4, 2048));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(kPoolBytes));
}

// The walls prefill runs into.
void RunPeak(benchmark::State& state, const PeakLoop& loop) {
  constexpr int64_t kTurns = 1000;
  const CycleClock clock;
  for (auto _ : state) loop.run(kTurns);
  clock.Report(state, static_cast<double>(state.iterations()) * static_cast<double>(kTurns * loop.macs), 0);
}

void RegisterAll() {
  benchmark::RegisterBenchmark("read_pool", ReadPool);
  for (const Isa isa : SupportedIsas()) {
    const std::string name(NameOf(isa));
    for (const PeakLoop& loop : PeakLoopsOf(isa)) {
      benchmark::RegisterBenchmark(("peak/" + name + "/" + loop.name).c_str(),
                                   [=](benchmark::State& state) { RunPeak(state, loop); });
    }
    for (const int64_t length : {512, 4096}) {
      for (const KvType type : {KvType::kF16, KvType::kQ8_0}) {
        const std::string tail =
            std::string(type == KvType::kF16 ? "f16/" : "q8_0/") + name + "/" + std::to_string(length);
        const auto add = [&](const std::string& title, Order order, int64_t n_tokens,
                             AttendArithmetic arithmetic = AttendArithmetic::kFloat) {
          const Case c{isa, {type, type}, order, length, n_tokens, arithmetic};
          benchmark::RegisterBenchmark(title.c_str(), [=](benchmark::State& state) { RunAttend(state, c); });
        };
        add("decode/" + tail, Order::kRising, 1);
        add("decode_shuffled/" + tail, Order::kShuffled, 1);
        add("decode_cached/" + tail, Order::kCached, 1);
        for (const int64_t n_tokens : {2, 4, 8, 16, 32}) {
          const std::string title = tail + "/" + std::to_string(n_tokens);
          add("prefill/" + title, Order::kShuffled, n_tokens);
          if (type == KvType::kF16) {
            add("prefill_int16/" + title, Order::kShuffled, n_tokens, AttendArithmetic::kInt16);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace tenfold::kernels

int main(int argc, char** argv) {
  tenfold::kernels::SetFlushDenormals();
  tenfold::kernels::RegisterAll();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
