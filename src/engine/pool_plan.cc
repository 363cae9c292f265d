#include "engine/pool_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "kv/block_pool.h"
#include "kv/pool_size.h"

namespace tenfold::engine {
namespace {

constexpr uint64_t kMostPages = 1 << 24;  // 268 million tokens; page ids stay far inside 32 bits
constexpr int64_t kLeastDefaultContext = 256;

double GiB(uint64_t bytes) { return static_cast<double>(bytes) / (1024.0 * 1024.0 * 1024.0); }

// Of the step's buffers, what the margin of any pool has no room for.
uint64_t StepBeyondMargin(const PoolInput& in) {
  return in.step_bytes > kv::MarginBytes(0) ? in.step_bytes - kv::MarginBytes(0) : 0;
}

uint64_t Left(const PoolInput& in) {
  const uint64_t taken = in.weight_bytes + StepBeyondMargin(in);
  return in.available_bytes > taken ? in.available_bytes - taken : 0;
}

// " and steps of 65536 tokens (-b) 8.10 GiB", where they matter.
std::string StepText(const PoolInput& in) {
  if (StepBeyondMargin(in) == 0) return "";
  return fmt::format(" and steps of {} tokens (-b) {:.2f} GiB", in.step_tokens, GiB(in.step_bytes));
}

uint64_t ContextPages(int64_t context) { return static_cast<uint64_t>(kv::PagesFor(context)); }

// The shortest context that will do.
int64_t LeastContext(const PoolInput& in) {
  return in.asked_context > 0 ? in.asked_context : std::min(in.default_context, kLeastDefaultContext);
}

Result<uint64_t> AskedPages(const PoolInput& in) {
  if (in.available_bytes > 0 && in.asked_bytes > Left(in)) {
    return Error{ErrorCode::kResourceExhausted,
                 fmt::format("a KV pool of {:.2f} GiB was asked for (--kv-memory), but of {:.2f} GiB that are free the "
                             "weights{} leave {:.2f} GiB",
                             GiB(in.asked_bytes), GiB(in.available_bytes), StepText(in), GiB(Left(in)))};
  }
  const uint64_t pages = in.asked_bytes / in.page_bytes;
  const uint64_t least = ContextPages(LeastContext(in));
  if (pages >= least) return pages;
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("a KV pool of {} bytes (--kv-memory) holds {} tokens, less than one context of {}; it needs "
                           "{} bytes",
                           in.asked_bytes, pages * kv::kPageTokens, LeastContext(in), least * in.page_bytes)};
}

Result<uint64_t> PagesFromMemory(const PoolInput& in) {
  const int64_t context = in.asked_context > 0 ? in.asked_context : in.default_context;
  const uint64_t most = 2 * ContextPages(context) * static_cast<uint64_t>(in.max_running);
  if (in.available_bytes == 0) return most;
  const uint64_t least = ContextPages(LeastContext(in));
  if (Left(in) < least * in.page_bytes) {
    return Error{
        ErrorCode::kResourceExhausted,
        fmt::format("not enough memory: the weights need {:.2f} GiB{} and one context of {} tokens {:.2f} GiB, but "
                    "{:.2f} GiB are free; use {}{}a smaller model",
                    GiB(in.weight_bytes), StepText(in), LeastContext(in), GiB(least * in.page_bytes),
                    GiB(in.available_bytes), StepBeyondMargin(in) > 0 ? "a smaller -b, " : "",
                    in.asked_context > kLeastDefaultContext ? "a smaller -c or " : "")};
  }
  return std::max(least, std::min(most, kv::PoolBytes(Left(in)) / in.page_bytes));
}

std::string Describe(const PoolInput& in, const PoolPlan& plan) {
  const int64_t tokens = int64_t{plan.pages} * kv::kPageTokens;
  std::string why = "as asked for";
  if (in.asked_bytes == 0) {
    why = in.available_bytes == 0 ? "free memory is unknown"
                                  : fmt::format("{:.2f} GiB are left beside the weights{}, {:.2f} of them as a margin",
                                                GiB(Left(in)), StepText(in), GiB(kv::MarginBytes(Left(in))));
  }
  return fmt::format("KV pool: {:.2f} GiB, {} tokens, {:.1f} contexts of {} ({}; --kv-memory sets it)",
                     GiB(static_cast<uint64_t>(plan.pages) * in.page_bytes), tokens,
                     static_cast<double>(tokens) / static_cast<double>(plan.context), plan.context, why);
}

}  // namespace

Result<PoolPlan> PlanPool(const PoolInput& input) {
  TENFOLD_TRY(const uint64_t pages, input.asked_bytes > 0 ? AskedPages(input) : PagesFromMemory(input));
  PoolPlan plan;
  plan.pages = static_cast<int32_t>(std::min(pages, kMostPages));
  const int64_t holds = int64_t{plan.pages} * kv::kPageTokens;
  plan.context = input.asked_context > 0 ? input.asked_context : std::min(input.default_context, holds);
  plan.shortened = input.asked_context == 0 && plan.context < input.default_context;
  plan.text = Describe(input, plan);
  return plan;
}

}  // namespace tenfold::engine
