// Whether the model file is sound, fits for so many users, and how it will be read (findings.h).
#include <fmt/format.h>

#include "doctor/findings.h"

namespace tenfold::doctor {
namespace {

// Ways to more room, the cheapest first.
std::vector<std::string> MoreRoom(const Facts& f) {
  std::vector<std::string> out = {
      "serve --cache-type-k q8_0 --cache-type-v q8_0 halves what a token takes; -c N allows shorter requests",
      "a file of fewer bits a weight, or a smaller model"};
  if (f.machine.memory_limit_bytes > 0)
    out.emplace_back("a higher limit: docker run --memory=...; systemd: MemoryMax=...");
  return out;
}

Finding File(const ModelFacts& m) {
  if (!m.error.empty())
    return {"model file", Level::kFail, m.error, {"download it again, or name another one with -m"}};
  if (m.unsupported.empty()) {
    return {"model file", Level::kOk, fmt::format("{}, {}: its headers are sound", m.path, SizeText(m.file_bytes)), {}};
  }
  return {
      "model file", Level::kFail, fmt::format("{}: {}", m.path, m.unsupported.front()), {"tenfold inspect says more"}};
}

// All users with full contexts at once is the worst case: fewer tokens than that make requests wait, not fail.
Finding Fits(const Facts& f, const ModelFacts& m) {
  if (!m.memory_error.empty()) return {"fits", Level::kFail, m.memory_error, MoreRoom(f)};
  const int64_t users = m.pool_tokens / m.context;
  const uint64_t needed = m.weight_bytes + static_cast<uint64_t>(f.users * m.context) * m.kv_bytes_per_token;
  Finding out{"fits", Level::kOk, "", {}};
  out.says = fmt::format("weights {}, and for {} user{} of {} tokens {} in all", SizeText(m.weight_bytes), f.users,
                         f.users == 1 ? "" : "s", m.context, SizeText(needed));
  if (f.machine.memory_available_bytes == 0) {
    out.level = Level::kWarn;
    out.says += "; how much is free is not known";
  } else if (m.context_shortened || users < f.users) {
    out.level = Level::kWarn;
    out.says += fmt::format("; {} free hold {} such user{}, {} tokens together: more wait for each other",
                            SizeText(f.machine.memory_available_bytes), users, users == 1 ? "" : "s", m.pool_tokens);
    out.advice = MoreRoom(f);
  } else {
    out.says += fmt::format("; {} are free", SizeText(f.machine.memory_available_bytes));
  }
  return out;
}

Finding Cached(const ModelFacts& m) {
  if (!m.cached) return {"page cache", Level::kOk, "whether the file is in memory is only told to who owns it", {}};
  if (*m.cached >= 0.95) return {"page cache", Level::kOk, "the file is in memory: it loads at once", {}};
  return {
      "page cache",
      Level::kOk,
      fmt::format("{:.0f} % of the file is in memory: the rest is read from the disk when it loads", *m.cached * 100),
      {fmt::format("to read it before: cat '{}' > /dev/null", m.path)}};
}

}  // namespace

void ExamineModel(const Facts& facts, std::vector<Finding>& out) {
  if (!facts.model) return;
  const ModelFacts& model = *facts.model;
  out.push_back(File(model));
  if (!model.error.empty()) return;
  if (model.weight_bytes > 0 && (model.context > 0 || !model.memory_error.empty())) out.push_back(Fits(facts, model));
  out.push_back(Cached(model));
}

}  // namespace tenfold::doctor
