#include "tune/profile.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

#include "config/table.h"
#include "kernels/isa.h"
#include "platform/cpu.h"

namespace tenfold::tune {
namespace {

constexpr size_t kDigestedBytes = size_t{64} << 10;  // of either end

// FNV-1a: nobody gains by forging a profile's model.
uint64_t Digest(uint64_t digest, std::string_view bytes) {
  for (const char c : bytes) digest = (digest ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  return digest;
}

// Names, tokens and shapes are at the beginning, weights at the end: a fine-tune of the same size differs there.
Status TakeModel(const std::string& path, ProfileKey& key) {
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (error || !file) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("cannot read {}: {}", path, error ? error.message() : "no permission")};
  }
  uint64_t digest = Digest(0xcbf29ce484222325u, fmt::format("{}", size));
  std::string piece(static_cast<size_t>(std::min<uint64_t>(size, kDigestedBytes)), '\0');
  for (const uint64_t at : {uint64_t{0}, size - piece.size()}) {
    file.seekg(static_cast<std::streamoff>(at));
    if (!file.read(piece.data(), static_cast<std::streamsize>(piece.size()))) {
      return Error{ErrorCode::kIo, fmt::format("cannot read {}", path)};
    }
    digest = Digest(digest, piece);
  }
  key.model = std::filesystem::path(path).filename();
  key.model_bytes = static_cast<int64_t>(size);
  key.model_digest = fmt::format("{:016x}", digest);
  return {};
}

// A row of the file: where its text or number goes.
struct Row {
  std::string_view key;
  std::string ProfileKey::*text = nullptr;
  int64_t ProfileKey::*number = nullptr;
};
constexpr std::array<Row, 9> kKeyRows = {{
    {"for_cpu", &ProfileKey::cpu},
    {"for_cores", nullptr, &ProfileKey::cores},
    {"for_cpus", nullptr, &ProfileKey::cpus},
    {"for_quota", &ProfileKey::quota},
    {"for_isa", &ProfileKey::isa},
    {"for_model", &ProfileKey::model},
    {"for_model_bytes", nullptr, &ProfileKey::model_bytes},
    {"for_model_digest", &ProfileKey::model_digest},
    {"for_version", &ProfileKey::version},
}};
struct FactRow {
  std::string_view key;
  std::string Profile::*text;
};
constexpr std::array<FactRow, 3> kFactRows = {
    {{"tuned_for", &Profile::tuned_for}, {"tuned_on", &Profile::tuned_on}, {"tuned_gain", &Profile::tuned_gain}}};

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + "\"";
}

Error At(const std::string& path, int line, const std::string& what) {
  return {ErrorCode::kInvalidArgument, fmt::format("{}:{}: {}", path, line, what)};
}

// Whether it was one of the two kinds of facts.
Result<bool> TakeFact(const config::TomlEntry& entry, const std::string& path, Profile& profile) {
  std::string* text = nullptr;
  int64_t* number = nullptr;
  for (const Row& row : kKeyRows) {
    if (row.key != entry.key) continue;
    if (row.text != nullptr) text = &(profile.key.*row.text);
    if (row.number != nullptr) number = &(profile.key.*row.number);
  }
  for (const FactRow& row : kFactRows) {
    if (row.key == entry.key) text = &(profile.*row.text);
  }
  if (text == nullptr && number == nullptr) return false;
  const auto* is_text = std::get_if<std::string>(&entry.value);
  const auto* is_number = std::get_if<int64_t>(&entry.value);
  if (text != nullptr && is_text == nullptr) return At(path, entry.line, entry.key + " must be a text in quotes");
  if (number != nullptr && is_number == nullptr) return At(path, entry.line, entry.key + " must be a whole number");
  if (text != nullptr) *text = *is_text;
  if (number != nullptr) *number = *is_number;
  return true;
}

}  // namespace

Result<ProfileKey> KeyHere(const std::string& model_path, std::string_view version) {
  ProfileKey key;
  TENFOLD_TRY_STATUS(TakeModel(model_path, key));
  TENFOLD_TRY(const kernels::Isa isa, kernels::ChooseIsa(std::getenv("TENFOLD_ISA")));
  const platform::CpuBudget budget = platform::DetectCpuBudget();
  const std::string& cpu = platform::DetectCpu().model_name;
  key.cpu = cpu.empty() ? "unknown" : cpu;
  key.cores = budget.physical_cores;
  key.cpus = budget.logical_cpus;
  key.quota = budget.quota_cpus > 0 ? fmt::format("{:.2f}", budget.quota_cpus) : "none";
  key.isa = kernels::NameOf(isa);
  key.version = version;
  return key;
}

std::string DifferenceOf(const ProfileKey& tuned, const ProfileKey& here) {
  const auto differs = [](std::string_view what, const auto& then, const auto& now) {
    return fmt::format("it was tuned for {} {}, here it is {}", what, then, now);
  };
  if (tuned.model_bytes != here.model_bytes || tuned.model_digest != here.model_digest) {
    return fmt::format("it was tuned for another model file ({}, {} bytes, digest {}; here {}, {} bytes, digest {})",
                       tuned.model, tuned.model_bytes, tuned.model_digest, here.model, here.model_bytes,
                       here.model_digest);
  }
  if (tuned.cpu != here.cpu) return differs("CPU", "'" + tuned.cpu + "'", "'" + here.cpu + "'");
  if (tuned.cores != here.cores) return differs("cores:", tuned.cores, here.cores);
  if (tuned.cpus != here.cpus) return differs("CPUs:", tuned.cpus, here.cpus);
  if (tuned.quota != here.quota) return differs("a CPU quota of", tuned.quota, here.quota);
  if (tuned.isa != here.isa) return differs("instruction set", tuned.isa, here.isa);
  if (tuned.version != here.version) return differs("version", tuned.version, here.version);
  return "";
}

std::string ProfileText(const Profile& profile, const Assignment& settings) {
  std::string out =
      "# Written by `tenfold tune`; `tenfold serve` uses it on this machine with this model only. Flags, environment "
      "and\n"
      "# --config win over it; --profile none leaves it alone.\n";
  for (const Row& row : kKeyRows) {
    out += row.text != nullptr ? fmt::format("{} = {}\n", row.key, Quoted(profile.key.*row.text))
                               : fmt::format("{} = {}\n", row.key, profile.key.*row.number);
  }
  for (const FactRow& row : kFactRows) out += fmt::format("{} = {}\n", row.key, Quoted(profile.*row.text));
  out += settings.empty() ? "\n# The defaults were not beaten beyond noise: nothing is set.\n" : "\n";
  for (const auto& [key, value] : settings) {
    const config::Setting* setting = config::FindKey(key);
    const bool bare = config::IsNumber(*setting) || config::IsSwitch(*setting);
    out += fmt::format("{} = {}\n", key, bare ? value : Quoted(value));
  }
  return out;
}

Result<Profile> ReadProfile(std::string_view text, const std::string& path) {
  TENFOLD_TRY(const std::vector<config::TomlEntry> entries, config::ParseToml(text, path));
  Profile profile;
  std::set<std::string_view> seen;
  for (const config::TomlEntry& entry : entries) {
    TENFOLD_TRY(const bool fact, TakeFact(entry, path, profile));
    if (fact) {
      seen.insert(entry.key);
    } else {
      profile.settings.push_back(entry);
    }
  }
  for (const Row& row : kKeyRows) {
    if (!seen.contains(row.key)) return At(path, 1, fmt::format("{} is missing: this is no profile", row.key));
  }
  return profile;
}

std::string ProfilePath(const std::string& model_path, std::string_view xdg_config_home, std::string_view home) {
  std::string folder;
  if (xdg_config_home.starts_with('/')) {  // the XDG specification: relative ones count as not set
    folder = xdg_config_home;
  } else if (home.starts_with('/')) {
    folder = std::string(home) + "/.config";
  } else {
    return "";
  }
  std::string name = std::filesystem::path(model_path).filename();
  if (name.ends_with(".gguf")) name.resize(name.size() - 5);
  return name.empty() ? "" : fmt::format("{}/tenfold/profiles/{}.toml", folder, name);
}

Status WriteWhole(const std::string& path, const std::string& text) {
  const auto refused = [&](const std::string& why) {
    return Error{ErrorCode::kIo, fmt::format("cannot write {}: {}", path, why)};
  };
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  if (error) return refused(error.message());
  const std::string part = fmt::format("{}.{}.part", path, getpid());
  std::ofstream file(part, std::ios::binary | std::ios::trunc);
  file << text << std::flush;
  const bool written = file.good();
  file.close();
  if (written) std::filesystem::rename(part, path, error);
  if (written && !error) return {};
  const std::string why = written ? error.message() : std::strerror(errno);
  std::filesystem::remove(part, error);
  return refused(why);
}

}  // namespace tenfold::tune
