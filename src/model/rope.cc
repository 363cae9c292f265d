#include "model/rope.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string_view>

#include "gguf/quote.h"

namespace tenfold::model {
namespace {

Error Corrupt(std::string message) { return Error{ErrorCode::kCorrupt, std::move(message)}; }
Error Unsupported(std::string message) { return Error{ErrorCode::kUnsupported, std::move(message)}; }

// A float within bounds, or the fallback for a missing key.
Result<double> Bounded(const gguf::File& file, const std::string& key, double fallback, double least, double most) {
  TENFOLD_TRY(const double value, file.GetFloatOr(key, fallback));
  if (value >= least && value <= most) return value;  // false for NaN
  return Corrupt(fmt::format("{} is {}, expected {} to {}", key, value, least, most));
}

// rope.scaling.factor, or the key that files had before: rope.scale_linear. 0 means none, as in llama.cpp.
Result<double> ReadFactor(const gguf::File& file, const std::string& prefix) {
  const bool has_new = file.FindValue(prefix + "rope.scaling.factor") != nullptr;
  const std::string key = prefix + (has_new ? "rope.scaling.factor" : "rope.scale_linear");
  TENFOLD_TRY(const double factor, Bounded(file, key, 1.0, 0.0, 1e6));
  if (factor == 0) return 1.0;
  if (factor < 1e-3) return Corrupt(fmt::format("{} is {}, expected 0.001 to 1e6", key, factor));
  return factor;
}

Status RefuseUnknown(const gguf::File& file, const std::string& scaling_prefix) {
  // DeepSeek's other magnitude, and a factor that llama.cpp itself overwrites: no file of our architectures has them.
  const struct {
    std::string_view key;
    double neutral;
  } kRefused[] = {{"yarn_log_multiplier", 0.0}, {"yarn_attn_factor", 1.0}};
  for (const auto& [key, neutral] : kRefused) {
    const std::string name = scaling_prefix + std::string(key);
    TENFOLD_TRY(const double value, file.GetFloatOr(name, neutral));
    if (value != neutral) return Unsupported(fmt::format("{} is {}: only {} is supported", name, value, neutral));
  }
  return {};
}

// YaRN (Peng et al. 2023, arXiv:2309.00071, section 3.2): the pair, as a real number, that makes `turns` full turns
// within the original context.
double PairOfTurns(double turns, double n_rot, double base, double context) {
  return n_rot * std::log(context / (turns * 2 * std::numbers::pi)) / (2 * std::log(base));
}

}  // namespace

Result<RopeScaling> ReadRopeScaling(const gguf::File& file, const std::string& prefix) {
  RopeScaling s;
  const std::string scaling = prefix + "rope.scaling.";
  TENFOLD_TRY(const std::string type, file.GetStringOr(scaling + "type", "linear"));
  if (type != "none" && type != "linear" && type != "yarn") {
    return Unsupported(
        fmt::format("{}type is {}: \"none\", \"linear\" and \"yarn\" are supported", scaling, gguf::Quote(type)));
  }
  TENFOLD_TRY_STATUS(RefuseUnknown(file, scaling));
  TENFOLD_TRY(s.factor, ReadFactor(file, prefix));
  if (type == "none") s.factor = 1;
  TENFOLD_TRY(s.attn_factor, Bounded(file, scaling + "attn_factor", 1.0, 1e-3, 1e3));
  TENFOLD_TRY(s.beta_fast, Bounded(file, scaling + "yarn_beta_fast", 32.0, 1e-3, 1e6));
  TENFOLD_TRY(s.beta_slow, Bounded(file, scaling + "yarn_beta_slow", 1.0, 1e-3, 1e6));
  TENFOLD_TRY(s.ext_factor, Bounded(file, scaling + "yarn_ext_factor", -1.0, -1.0, 1.0));
  if (s.ext_factor < 0) s.ext_factor = type == "yarn" ? 1 : 0;  // negative means that the file leaves it open
  if (s.ext_factor != 0 && type != "yarn") {
    return Unsupported(fmt::format("{0}yarn_ext_factor is {1}, but {0}type is \"{2}\": only \"yarn\" has it", scaling,
                                   s.ext_factor, type));
  }
  TENFOLD_TRY(const uint64_t original, file.GetUintOr(scaling + "original_context_length", 0));
  if (original > (uint64_t{1} << 24)) {
    return Corrupt(fmt::format("{}original_context_length is {}, expected at most 2^24", scaling, original));
  }
  s.original_context = static_cast<int64_t>(original);
  return s;
}

RopeTable MakeRopeTable(const RopeScaling& s, int64_t n_rot, double base, int64_t train_context, const float* factors) {
  const auto dims = static_cast<double>(n_rot);
  const auto context = static_cast<double>(s.original_context > 0 ? s.original_context : train_context);
  double first = 0;  // pairs up to here keep their frequency, pairs from `last` on are divided by the factor
  double last = 0;
  if (s.ext_factor != 0 && base > 1) {
    first = std::max(0.0, std::floor(PairOfTurns(s.beta_fast, dims, base, context)));
    last = std::min(dims - 1, std::ceil(PairOfTurns(s.beta_slow, dims, base, context)));
  }
  RopeTable table;
  for (int64_t i = 0; i < n_rot / 2; ++i) {
    // theta_i = base^(-2i / n_rot): Su et al. 2021, eq. 15.
    double plain = std::pow(base, -2.0 * static_cast<double>(i) / dims);
    if (factors != nullptr) plain /= static_cast<double>(factors[i]);
    const double ramp = std::clamp((static_cast<double>(i) - first) / std::max(0.001, last - first), 0.0, 1.0);
    const double kept = s.ext_factor * (1 - ramp);
    table.frequencies.push_back(plain / s.factor * (1 - kept) + plain * kept);
  }
  // YaRN's temperature, 1/sqrt(t) = 0.1 ln(factor) + 1 on queries and keys alike (section 3.4, eq. 22).
  const double yarn = s.ext_factor != 0 && s.factor > 1 ? 0.1 * std::log(s.factor) + 1 : 1;
  table.magnitude = yarn * s.attn_factor;
  return table;
}

}  // namespace tenfold::model
