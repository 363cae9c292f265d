#include "bench/engine_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <numeric>
#include <random>
#include <utility>

#include "base/clock.h"
#include "engine/loader.h"
#include "gguf/file.h"
#include "kernels/attention.h"
#include "kv/block_pool.h"
#include "model/kv_store.h"
#include "platform/available_memory.h"
#include "platform/placement.h"
#include "platform/thread_binding.h"
#include "sampling/sampler.h"

namespace tenfold::bench {
namespace {

double Seconds(int64_t ns) { return static_cast<double>(ns) * 1e-9; }

int64_t CpuNs() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

int64_t PagesOf(const EngineCase& c, int64_t decode_steps) {
  return c.kind == CaseKind::kPrefill ? kv::PagesFor(c.count) : c.count * kv::PagesFor(c.context + decode_steps);
}
int64_t LengthOf(const EngineCase& c, int64_t decode_steps) {
  return c.kind == CaseKind::kPrefill ? c.count : c.context + decode_steps;
}

// Decides which cases fit into the context and the memory for keys and values. Returns the pages that the largest of
// them needs, and its longest sequence.
struct Needs {
  int64_t pages = 0;
  int64_t length = 0;
  uint64_t page_bytes = 0;
};
Result<Needs> ChooseCases(const EngineOptions& options, std::vector<CaseResult>& cases) {
  TENFOLD_TRY(const platform::MappedFile bytes, platform::MappedFile::Open(options.model_path));
  TENFOLD_TRY(const gguf::File file, gguf::File::Parse(bytes.bytes()));
  TENFOLD_TRY(const model::Config config, model::ReadConfig(file));
  const uint64_t page_bytes = model::KvStore::PageBytes(config, options.kv_format);
  uint64_t limit = options.kv_bytes;
  if (limit == 0) {
    const uint64_t available = platform::AvailableMemoryBytes();
    limit = available > bytes.bytes().size() ? (available - bytes.bytes().size()) / 2 : 0;
  }
  Needs needs{.page_bytes = page_bytes};
  for (const EngineCase& c : options.cases) {
    CaseResult& result = cases.emplace_back();
    result.c = c;
    const int64_t pages = PagesOf(c, options.decode_steps);
    const int64_t length = LengthOf(c, options.decode_steps);
    if (length > config.train_context) {
      result.skipped = fmt::format("{} tokens; the model was trained for {}", length, config.train_context);
    } else if (static_cast<uint64_t>(pages) * page_bytes > limit) {
      result.skipped = fmt::format("needs {:.1f} GiB for keys and values, of {:.1f}",
                                   static_cast<double>(static_cast<uint64_t>(pages) * page_bytes) / (1 << 30),
                                   static_cast<double>(limit) / (1 << 30));
    } else {
      needs.pages = std::max(needs.pages, pages);
      needs.length = std::max(needs.length, length);
    }
  }
  if (needs.pages == 0) {
    return Error{ErrorCode::kInvalidArgument,
                 cases.empty() ? std::string("there is nothing to measure: ask for a prefill or a decode")
                               : fmt::format("no case fits: {}: {}", NameOf(cases[0].c), cases[0].skipped)};
  }
  return needs;
}

// The loader's pool must hold one whole context, so pages are asked for by the larger of both.
engine::Options LoadOptions(const EngineOptions& options, const Needs& needs) {
  engine::Options load;
  load.model_path = options.model_path;
  load.max_context = needs.length;
  load.max_step_tokens = options.step_tokens;
  load.kv_bytes = static_cast<uint64_t>(std::max(needs.pages, kv::PagesFor(needs.length))) * needs.page_bytes;
  load.exact = options.exact;
  load.kv_format = options.kv_format;
  load.isa = options.isa;
  return load;
}

// Runs the cases of one loaded model.
class Runner {
 public:
  Runner(const EngineOptions& options, platform::ThreadPool& pool, engine::LoadedModel loaded)
      : options_(options), pool_(pool), loaded_(std::move(loaded)), profile_(pool.threads()), rng_(options.seed) {
    pages_.resize(static_cast<size_t>(loaded_.kv_pages));
    std::iota(pages_.begin(), pages_.end(), 0);
  }

  // Touches all keys and values, and lets buffers grow to what the largest case needs.
  void WarmUp(std::span<const CaseResult> cases);
  void Run(CaseResult& result, bool profiled);
  const model::Model& model() const { return *loaded_.model; }

 private:
  void Step(const CaseResult& result, std::span<const RowShape> shape);
  void Draw();

  const EngineOptions& options_;
  platform::ThreadPool& pool_;
  engine::LoadedModel loaded_;
  model::StepProfile profile_;
  std::mt19937_64 rng_;
  std::vector<int32_t> pages_;
  std::vector<int32_t> tokens_;
  std::vector<model::StepRow> rows_;
  std::vector<sampling::Sampler> samplers_;
  int64_t draw_ns_ = 0;
};

void Runner::WarmUp(std::span<const CaseResult> cases) {
  const platform::HugeBuffer& kv = loaded_.model->kv().buffer();
  auto* const halves = reinterpret_cast<uint16_t*>(kv.data());
  const auto page_halves =
      static_cast<int64_t>(model::KvStore::PageBytes(loaded_.model->config(), options_.kv_format) / 2);
  pool_.ParallelFor(static_cast<int64_t>(pages_.size()), [&](int64_t page, int) {
    uint64_t state = options_.seed + static_cast<uint64_t>(page);
    for (int64_t i = 0; i < page_halves; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;  // Knuth's multiplier: any bits will do
      // Either sign, magnitudes from 1/4 to 2; as int8 with scales, or the scales of floats, finite too.
      halves[page * page_halves + i] = static_cast<uint16_t>((state >> 48 & 0x83FF) | (13 + (state >> 40) % 3) << 10);
    }
  });
  const auto tokens = [&](const CaseResult& r) {
    return r.c.kind == CaseKind::kPrefill ? std::min(r.c.count, options_.step_tokens) : r.c.count;
  };
  const CaseResult* widest = nullptr;
  for (const CaseResult& r : cases) {
    if (r.skipped.empty() && (widest == nullptr || tokens(r) > tokens(*widest))) widest = &r;
  }
  if (widest != nullptr) Step(*widest, StepsOf(widest->c, options_.step_tokens, 1).front());
}

void Runner::Step(const CaseResult& result, std::span<const RowShape> shape) {
  tokens_.clear();
  int64_t total = 0;
  for (const RowShape& row : shape) total += row.count;
  const auto vocab = static_cast<uint64_t>(loaded_.info->vocab_size);
  for (int64_t i = 0; i < total; ++i) tokens_.push_back(static_cast<int32_t>(rng_() % vocab));
  const size_t row_pages = result.c.kind == CaseKind::kPrefill
                               ? static_cast<size_t>(kv::PagesFor(result.c.count))
                               : static_cast<size_t>(kv::PagesFor(result.c.context + options_.decode_steps));
  rows_.clear();
  size_t token = 0;
  for (size_t r = 0; r < shape.size(); ++r) {
    const auto count = static_cast<size_t>(shape[r].count);
    rows_.push_back({.tokens = std::span<const int32_t>(tokens_).subspan(token, count),
                     .first_position = shape[r].first_position,
                     .logits_from = shape[r].first_position + shape[r].count - shape[r].logits,
                     .page_ids = std::span<const int32_t>(pages_).subspan(r * row_pages, row_pages)});
    token += count;
  }
  loaded_.model->Forward(rows_);
}

// One token for each row, as the engine's loop draws them.
void Runner::Draw() {
  const int64_t begin = NowNs();
  const int64_t rows = loaded_.model->logit_rows();
  while (static_cast<int64_t>(samplers_.size()) < rows) {
    samplers_.emplace_back(sampling::Params{.seed = options_.seed + samplers_.size()});
  }
  pool_.ParallelFor(rows, [&](int64_t i, int) {
    const std::span<float> logits = loaded_.model->Logits(i).first(static_cast<size_t>(loaded_.info->vocab_size));
    // Which token, or that random weights gave none, does not matter here.
    (void)samplers_[static_cast<size_t>(i)].Draw(logits, -1).ok();
  });
  draw_ns_ += NowNs() - begin;
}

void Runner::Run(CaseResult& result, bool profiled) {
  const auto steps = StepsOf(result.c, options_.step_tokens, options_.decode_steps);
  profile_.Clear();
  draw_ns_ = 0;
  loaded_.model->SetProfile(profiled ? &profile_ : nullptr);
  const int64_t cpu_begin = CpuNs();
  const int64_t begin = NowNs();
  for (const std::vector<RowShape>& step : steps) {
    Step(result, step);
    if (result.c.kind == CaseKind::kDecode) Draw();
  }
  const double seconds = Seconds(NowNs() - begin);
  loaded_.model->SetProfile(nullptr);
  if (!profiled) {
    result.samples.push_back({.seconds = seconds, .cores = Seconds(CpuNs() - cpu_begin) / seconds});
  } else if (!result.profile.has_value() || seconds < result.profile->seconds) {
    result.profile = CaseProfile{.phases = profile_, .draw_seconds = Seconds(draw_ns_), .seconds = seconds};
  }
}

// Loads the model, timing its stages; the load of the server with every check and a first token computed.
Result<engine::LoadedModel> TimedLoad(const engine::Options& options, platform::ThreadPool& pool,
                                      const EngineWatch& watch, LoadTime& time) {
  const int64_t begin = NowNs();
  int64_t stage_begin = begin;
  const auto end_stage = [&](int64_t now) {
    if (!time.stages.empty()) time.stages.back().seconds = Seconds(now - stage_begin);
    stage_begin = now;
  };
  auto loaded = engine::LoadModel(options, pool, [&](std::string_view stage, double) {
    if (time.stages.empty() || time.stages.back().name != stage) {
      end_stage(NowNs());
      time.stages.push_back({.name = std::string(stage)});
    }
    return !watch.stop();
  });
  const int64_t end = NowNs();
  end_stage(end);
  time.seconds = Seconds(end - begin);
  return loaded;
}

void RunRounds(const EngineOptions& options, const EngineWatch& watch, Runner& runner, RooflineMeter& meter,
               EngineResult& result) {
  const size_t n = result.cases.size();
  for (int round = 0; round < options.rounds; ++round) {
    meter.Measure();
    result.roofline = meter.best();
    for (size_t i = 0; i < n; ++i) {
      CaseResult& c = result.cases[round % 2 == 0 ? i : n - 1 - i];
      if (!c.skipped.empty()) continue;
      if (watch.stop()) {
        result.interrupted = true;
        return;
      }
      runner.Run(c, false);
      watch.on_sample(c, round);
      if (options.profile) runner.Run(c, true);
    }
    ++result.rounds;
  }
}

}  // namespace

Result<EngineResult> RunEngine(const EngineOptions& options, const EngineWatch& watch) {
  EngineResult result;
  TENFOLD_TRY(const Needs needs, ChooseCases(options, result.cases));
  TENFOLD_TRY(const platform::Placement placement, platform::PlaceThreadsHere(options.affinity, options.threads));
  const auto start = [&](int worker) {
    kernels::SetFlushDenormals();
    (void)platform::BindThread(placement, worker).ok();  // where binding is refused the figures say so themselves
  };
  platform::ThreadPool pool(placement.threads, start);
  start(0);

  std::optional<engine::LoadedModel> loaded;
  for (int i = 0; i < std::max(options.loads, 1); ++i) {
    loaded.reset();  // before the next takes its memory
    auto next = TimedLoad(LoadOptions(options, needs), pool, watch, result.loads.emplace_back());
    if (!next.ok()) return std::move(next).error();
    loaded = std::move(next).value();
  }
  const engine::Optimization& got = loaded->optimization;
  result.isa = got.isa;
  result.threads = pool.threads();
  result.architecture = loaded->info->architecture;
  result.file_bytes = loaded->info->file_bytes;
  result.weight_bytes = got.weight_bytes;
  result.huge_pages = got.huge_pages;

  const kernels::Isa isa = kernels::IsaFromName(got.isa).value();
  Runner runner(options, pool, std::move(*loaded));
  for (CaseResult& c : result.cases) {
    const auto steps = StepsOf(c.c, options.step_tokens, options.decode_steps);
    c.steps = static_cast<int64_t>(steps.size());
    for (const std::vector<RowShape>& step : steps) {
      const PhaseWork work = WorkOfStep(runner.model().config(), runner.model().weights(), options.kv_format,
                                        options.exact ? kernels::Precision::kExact : kernels::Precision::kFast, step);
      for (size_t p = 0; p < work.size(); ++p) c.work[p] += work[p];
    }
  }
  TENFOLD_TRY(RooflineMeter meter, RooflineMeter::Create(pool, {isa}));
  runner.WarmUp(result.cases);
  RunRounds(options, watch, runner, meter, result);
  return result;
}

}  // namespace tenfold::bench
