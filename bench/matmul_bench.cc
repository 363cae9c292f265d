// Speed of every matrix kernel on one core, expanded from the kernel list: multiplications a second and a cycle, and
// bytes of packed weights a second.
//
// Weights are streamed from a buffer larger than the last-level cache, as a step streams a model, so that a result is
// the slower of memory and arithmetic; a name that ends in /cached runs on one tile again and again, for arithmetic
// alone. Names: kernel/K/tokens. Times are CPU time: who else ran on the core does not count.
//
//   matmul_bench --benchmark_filter='q4k.*avx512vnni/2560/'
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "cycles.h"
#include "kernels/activations.h"
#include "kernels/attention.h"
#include "kernels/matmul_kernels.h"
#include "kernels/packed_matrix.h"
#include "platform/memory.h"
#include "tensor/dtype.h"

namespace {

using namespace tenfold;  // NOLINT(google-build-using-namespace): a program of one file
using kernels::FormatKernels;
using kernels::Isa;
using kernels::Packing;

// Every count of a small step, so that a cliff between neighbours shows; then the sizes of prompts.
constexpr int64_t kTokenCounts[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,  12, 13,
                                    14, 15, 16, 17, 20, 24, 32, 40, 48, 64, 128, 512};
constexpr int64_t kCachedTokenCounts[] = {1, 8, 16, 64, 512};
constexpr double kMinSeconds = 0.05;  // of each: there are about a thousand
constexpr int64_t kWidths[] = {2560, 9728};
constexpr size_t kWeightBytes = size_t{96} << 20;

// Random bytes in which every half that is a scale is small and finite, whatever the layout.
const uint8_t* Weights() {
  static const platform::HugeBuffer buffer = [] {
    Result<platform::HugeBuffer> allocated = platform::HugeBuffer::Allocate(kWeightBytes);
    if (!allocated.ok()) std::abort();
    auto* bytes = reinterpret_cast<uint16_t*>(allocated->data());
    std::mt19937 rng(1);
    for (size_t i = 0; i < kWeightBytes / 2; ++i) bytes[i] = static_cast<uint16_t>(rng()) & 0xBFFF;
    return std::move(allocated).value();
  }();
  return buffer.data();
}

// A type that is kept in this layout.
tensor::DType FormatOf(Packing packing) {
  for (uint32_t id = 0; id < 64; ++id) {
    const auto type = static_cast<tensor::DType>(id);
    if (tensor::IsComputable(type) && kernels::PackingOf(type) == packing) return type;
  }
  std::abort();
}

void RunTile(benchmark::State& state, Isa isa, Packing packing, kernels::TileFn fn, int64_t cols, int64_t tokens,
             bool cached) {
  kernels::SetFlushDenormals();
  std::mt19937 rng(2);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(cols * tokens));
  for (float& v : x) v = normal(rng);
  kernels::Activations activations;
  const tensor::DType format = FormatOf(packing);
  activations.Prepare(isa, {&format, 1}, x.data(), cols, tokens, cols);
  activations.Quantize(0, tokens);
  const kernels::Records& records = activations.impl().For(format);

  const size_t panel_bytes = kernels::PanelBytes(packing, cols);
  const size_t tile_bytes = panel_bytes * kernels::kTilePanels;
  const auto c_bytes = static_cast<size_t>(tokens * kernels::kTilePanels * kernels::kPanelRows) * sizeof(float);
  auto* c = static_cast<float*>(std::aligned_alloc(64, c_bytes));
  const uint8_t* weights = Weights();
  size_t at = 0;
  const CycleClock clock;
  for (auto _ : state) {
    if (at + tile_bytes > kWeightBytes) at = 0;
    fn({.w = weights + at,
        .panel_bytes = panel_bytes,
        .panels = kernels::kTilePanels,
        .cols = cols,
        .records = records.memory.get(),
        .block_stride = records.block_stride,
        .tokens = tokens,
        .c = c});
    benchmark::ClobberMemory();
    if (!cached) at += tile_bytes;
  }
  std::free(c);
  const auto tiles = static_cast<double>(state.iterations());
  const double macs = static_cast<double>(kernels::kTilePanels * kernels::kPanelRows * cols * tokens);
  clock.Report(state, tiles * macs, cached ? 0 : tiles * static_cast<double>(tile_bytes));
}

void Register(Isa isa, Packing packing, const char* name, kernels::TileFn fn) {
  if (fn == nullptr) return;
  const auto add = [&](int64_t cols, int64_t tokens, bool cached) {
    const std::string full =
        std::string(name) + "/" + std::to_string(cols) + "/" + std::to_string(tokens) + (cached ? "/cached" : "");
    benchmark::RegisterBenchmark(full.c_str(), [=](benchmark::State& state) {
      RunTile(state, isa, packing, fn, cols, tokens, cached);
    })->MinTime(kMinSeconds);
  };
  for (const int64_t cols : kWidths) {
    for (const int64_t tokens : kTokenCounts) add(cols, tokens, false);
    for (const int64_t tokens : kCachedTokenCounts) add(cols, tokens, true);
  }
}

}  // namespace

int main(int argc, char** argv) {
#ifdef TENFOLD_EVEX_VNNI  // this program holds the AVX-VNNI kernels in the encoding of AVX-512 VNNI machines
  if (!kernels::IsSupported(Isa::kAvx512Vnni)) return 0;
  const std::vector<Isa> isas = {Isa::kAvxVnni};
#else
  const std::vector<Isa> isas = kernels::SupportedIsas();
#endif
  for (const Isa isa : isas) {
    for (const FormatKernels& k : kernels::MatmulKernelsOf(isa).formats) {
      Register(isa, k.packing, k.direct_name, k.direct);
      Register(isa, k.packing, k.panel_name, k.panel);
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
