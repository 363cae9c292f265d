// What `tenfold tune` found, as a file that `serve` reads: whom it is for, and the settings that differ from the
// defaults.
//
// A profile is for one machine (CPU, cores, quota, instruction set), one model file and one version of the program:
// anything else may need other settings, so whoever reads it compares the whole key and names what differs. It is a
// flat TOML file; `for_` keys say for whom, `tuned_` keys what was measured, all others are settings of serve.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/toml_file.h"
#include "tune/space.h"

namespace tenfold::tune {

struct ProfileKey {
  std::string cpu;             // "AMD EPYC ..."; "unknown"
  int64_t cores = 1;           // that the process may use
  int64_t cpus = 1;            // likewise, hyper-threads counted
  std::string quota = "none";  // CPUs of the cgroup, "2.50"
  std::string isa;             // "avx512vnni"
  std::string model;           // name of the file; for people, a copy elsewhere is the same model
  int64_t model_bytes = 0;
  std::string model_digest;  // of the file's size, beginning and end
  std::string version;       // of the program
};

// Of this machine and that file (of a split model, its first part); `version`: the program's. Reads 128 KiB. Errors:
// the file cannot be read; TENFOLD_ISA names what this CPU lacks.
Result<ProfileKey> KeyHere(const std::string& model_path, std::string_view version);

// "" where both are the same, else what differs, for people: "it was tuned for 4 cores, here are 2".
std::string DifferenceOf(const ProfileKey& tuned, const ProfileKey& here);

struct Profile {
  ProfileKey key;
  std::string tuned_for;                    // "10 users, 12 s"
  std::string tuned_on;                     // date
  std::string tuned_gain;                   // "0.83 of the time (...)", or that the defaults were kept
  std::vector<config::TomlEntry> settings;  // of ReadProfile
};

// The file's text. `settings`: only those that differ from the defaults; a key of config/table.h each.
std::string ProfileText(const Profile& profile, const Assignment& settings);
// Errors name path, line and key.
Result<Profile> ReadProfile(std::string_view text, const std::string& path);

// $XDG_CONFIG_HOME/tenfold/profiles/MODEL.toml or $HOME/.config/...; "" where neither variable is an absolute path.
// model_path: its file name counts.
std::string ProfilePath(const std::string& model_path, std::string_view xdg_config_home, std::string_view home);

// Writes beside and renames, so that nobody reads half a file; makes the folders. Errors name the path.
Status WriteWhole(const std::string& path, const std::string& text);

}  // namespace tenfold::tune
