#include "apps/tuned_profile.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/log.h"
#include "tune/profile.h"

namespace tenfold::apps {
namespace {

std::string_view Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

struct Found {
  tune::Profile profile;
  std::string ignored;  // why, where it is not for us
};
Result<Found> Read(const std::string& path, const std::string& model_path) {
  TENFOLD_TRY(const std::string text, config::ReadTextFile(path));
  Found found;
  TENFOLD_TRY(found.profile, tune::ReadProfile(text, path));
  const Result<tune::ProfileKey> here = tune::KeyHere(model_path, server::kVersion);
  // Without the model there is nothing to compare; the load says what is wrong with it.
  found.ignored = here.ok() ? tune::DifferenceOf(found.profile.key, *here) : here.error().message;
  return found;
}

void LogUse(const std::string& path, const tune::Profile& profile, const std::vector<std::string>& taken,
            const config::Configuration& chosen) {
  std::vector<std::string> set;
  std::vector<std::string> left;
  for (const config::TomlEntry& entry : profile.settings) {
    const config::Setting* setting = config::FindKey(entry.key);
    const std::string value = fmt::format("{} {}", setting->key, config::ValueText(chosen.settings, *setting));
    const bool used = std::find(taken.begin(), taken.end(), setting->key) != taken.end();
    (used ? set : left).push_back(value);
  }
  Log(LogLevel::kInfo, fmt::format("tuned by {} ({}, {}): {}", path, profile.tuned_for, profile.tuned_on,
                                   set.empty() ? std::string("nothing to set, the defaults are best")
                                               : fmt::format("{}", fmt::join(set, ", "))));
  if (!left.empty()) {
    Log(LogLevel::kInfo, fmt::format("set otherwise, and not by the profile: {}", fmt::join(left, ", ")));
  }
}

}  // namespace

std::string UsualProfilePath(const std::string& model_path) {
  return tune::ProfilePath(model_path, Variable("XDG_CONFIG_HOME"), Variable("HOME"));
}

Result<server::TuningState> UseProfile(config::Configuration* configuration) {
  const std::string asked = configuration->settings.profile;
  const std::string model = configuration->settings.model;
  if (asked == "none" || model.empty()) return server::TuningState{};
  const bool named = asked != "auto";
  const std::string path = named ? asked : UsualProfilePath(model);
  std::error_code error;
  if (!named && (path.empty() || !std::filesystem::exists(path, error))) return server::TuningState{};

  Result<Found> found = Read(path, model);
  server::TuningState state;
  if (found.ok() && found->ignored.empty()) {
    Result<std::vector<std::string>> taken = config::ApplyProfile(found->profile.settings, path, configuration);
    if (taken.ok()) {
      LogUse(path, found->profile, *taken, *configuration);
      state.from = path;
      state.settings = std::move(*taken);
      return state;
    }
    found = std::move(taken).error();
  }
  if (!found.ok() && named) return Error{found.error().code, "profile: " + found.error().message};
  state.ignored = fmt::format("profile {} is not used: {}", path, found.ok() ? found->ignored : found.error().message);
  Log(LogLevel::kWarn, fmt::format("{}; `tenfold tune -m {}` makes a new one", state.ignored, model));
  return state;
}

}  // namespace tenfold::apps
