// The table against itself, and every row through every source.
#include "config/table.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <set>

#include "config/describe.h"
#include "config/foreign_flags.h"
#include "config/parse.h"

namespace tenfold::config {
namespace {

using Texts = std::vector<std::string>;

// A value that is allowed and not the default.
std::string Other(const Setting& row) {
  if (row.key == "cors_origin") return "https://a.example";
  if (IsSwitch(row)) return ValueText(Settings{}, row) == "true" ? "false" : "true";
  if (IsNumber(row))
    return std::to_string(ValueText(Settings{}, row) == std::to_string(row.most) ? row.least : row.most);
  for (const std::string_view choice : row.choices) {
    if (choice != ValueText(Settings{}, row)) return std::string(choice);
  }
  return "other";
}

// The partner without which a row is refused.
Texts Partner(const Setting& row) {
  if (row.key == "tls_cert") return {"tls_key", "k"};
  if (row.key == "tls_key") return {"tls_cert", "c"};
  return {};
}

std::string Got(const Result<Configuration>& parsed, const Setting& row) {
  return parsed.ok() ? ValueText(parsed.value().settings, row) : parsed.error().message;
}

class TomlPath {
 public:
  explicit TomlPath(const std::string& text)
      : path_(::testing::TempDir() + "tenfold_config_test_" + std::to_string(getpid())) {
    std::ofstream(path_) << text;
  }
  ~TomlPath() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string InToml(const Setting& row, const std::string& value) {
  return IsSwitch(row) || IsNumber(row) ? value : '"' + value + '"';
}

TEST(Table, NamesAreUniqueAndWellFormed) {
  std::set<std::string> names;
  for (const Setting& row : Table()) {
    Texts keys = {std::string(row.key)};
    keys.insert(keys.end(), row.other_keys.begin(), row.other_keys.end());
    for (const std::string& key : keys) {
      EXPECT_TRUE(names.insert(key).second) << key;
      EXPECT_EQ(key.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string::npos) << key;
    }
    EXPECT_FALSE(row.help.empty() || row.help.ends_with('.')) << row.key;
    EXPECT_EQ(row.value_name.empty(), IsSwitch(row)) << row.key;
    if (IsNumber(row)) {
      EXPECT_LT(row.least, row.most) << row.key;
    }
    const std::string long_flag = [&] {
      std::string flag = "--" + std::string(row.key);
      for (char& c : flag) c = c == '_' ? '-' : c;
      return flag;
    }();
    EXPECT_TRUE(FindFlag(long_flag)) << "the key, with dashes, must be a flag: " << long_flag;
  }
  for (const std::string& flag : AllFlags()) EXPECT_TRUE(names.insert(flag).second) << flag;
  for (const ForeignFlag& foreign : ForeignFlags()) {
    EXPECT_FALSE(foreign.reason.empty());
    for (const std::string_view flag : foreign.flags) EXPECT_TRUE(names.insert(std::string(flag)).second) << flag;
  }
}

TEST(Table, DefaultsAreAllowed) {
  for (const Setting& row : Table()) {
    if (IsList(row)) continue;  // nothing by default
    const std::string value = ValueText(Settings{}, row);
    if (value.empty()) continue;
    const Texts environment = {EnvironmentName(row.key) + "=" + value};
    if (row.key != "config") {
      EXPECT_EQ(Got(ParseConfiguration({}, environment), row), value) << row.key;
    }
  }
}

TEST(Table, EverySpellingOfEveryRowIsAFlag) {
  for (const Setting& row : Table()) {
    if (row.key == "config") continue;  // names a file that must be there
    for (const std::string_view spelling : row.flags) {
      Texts arguments;
      if (const Texts partner = Partner(row); !partner.empty()) {
        arguments = {partner[0] == "tls_key" ? "--tls-key" : "--tls-cert", partner[1]};
      }
      arguments.emplace_back(spelling);
      std::string wanted = Other(row);
      if (IsSwitch(row)) {
        wanted = "true";
        if (spelling.starts_with("--")) {
          const Texts off = {"--no-" + std::string(spelling.substr(2))};
          EXPECT_EQ(Got(ParseConfiguration(off, {}), row), "false") << off[0];
          const Texts attached = {std::string(spelling) + "=false"};
          EXPECT_EQ(Got(ParseConfiguration(attached, {}), row), "false") << attached[0];
        }
      } else {
        arguments.push_back(wanted);
      }
      EXPECT_EQ(Got(ParseConfiguration(arguments, {}), row), wanted) << spelling;
    }
  }
}

TEST(Table, EveryKeyOfEveryRowIsInTheEnvironmentAndTheFile) {
  for (const Setting& row : Table()) {
    if (!row.in_file) continue;
    Texts keys = {std::string(row.key)};
    keys.insert(keys.end(), row.other_keys.begin(), row.other_keys.end());
    for (const std::string& key : keys) {
      const std::string value = Other(row);
      Texts environment = {EnvironmentName(key) + "=" + value, "PATH=/bin"};
      std::string toml = key + " = " + InToml(row, value) + "\n";
      if (const Texts partner = Partner(row); !partner.empty()) {
        environment.push_back(EnvironmentName(partner[0]) + "=" + partner[1]);
        toml += partner[0] + " = \"" + partner[1] + "\"\n";
      }
      EXPECT_EQ(Got(ParseConfiguration({}, environment), row), value) << key;
      const TomlPath file(toml);
      const Texts arguments = {"--config", file.path()};
      EXPECT_EQ(Got(ParseConfiguration(arguments, {}), row), value) << toml;
    }
  }
}

TEST(Table, RangesAndChoicesHoldForEverySource) {
  for (const Setting& row : Table()) {
    Texts wrong;
    if (IsNumber(row)) {
      wrong = {std::to_string(row.least - 1), std::to_string(row.most + 1), "99999999999999999999", "x", "1.5", "1 "};
    } else if (IsSwitch(row)) {
      wrong = {"maybe"};
    } else if (!row.choices.empty()) {
      wrong = {"nonsense"};
    }
    for (const std::string& value : wrong) {
      const Texts arguments = {std::string(row.flags.back()) + "=" + value};
      const Texts environment = {EnvironmentName(row.key) + "=" + value};
      const TomlPath file(std::string(row.key) + " = \"" + value + "\"\n");
      const Texts config = {"--config", file.path()};
      for (const auto& parsed :
           {ParseConfiguration(arguments, {}), ParseConfiguration({}, environment), ParseConfiguration(config, {})}) {
        ASSERT_FALSE(parsed.ok()) << row.key << " " << value;
        EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidArgument);
        EXPECT_NE(parsed.error().message.find(AllowedValues(row)), std::string::npos) << parsed.error().message;
      }
      EXPECT_NE(ParseConfiguration(arguments, {}).error().message.find(row.flags.back()), std::string::npos);
      EXPECT_NE(ParseConfiguration({}, environment).error().message.find(EnvironmentName(row.key)), std::string::npos);
      const std::string in_file = file.path() + ":1: " + std::string(row.key);
      EXPECT_NE(ParseConfiguration(config, {}).error().message.find(in_file), std::string::npos);
    }
  }
}

TEST(Describe, HelpNamesEverySettingWithinTheWidth) {
  const std::string help = HelpText();
  for (const std::string& flag : AllFlags()) EXPECT_NE(help.find(flag), std::string::npos) << flag;
  for (size_t begin = 0; begin < help.size();) {
    const size_t end = help.find('\n', begin);
    EXPECT_LE(end - begin, 120u) << help.substr(begin, end - begin);
    begin = end + 1;
  }
}

TEST(Describe, AConfigFileReadsBackAsWhatItWasWrittenFrom) {
  Texts environment;
  for (const Setting& row : Table()) {
    if (row.in_file) environment.push_back(EnvironmentName(row.key) + "=" + Other(row));
  }
  environment.emplace_back("TENFOLD_ALIAS=a \"quoted\" \\ name");
  std::erase(environment, "TENFOLD_ALIAS=other");
  const Result<Configuration> written = ParseConfiguration({}, environment);
  ASSERT_TRUE(written.ok()) << written.error().message;
  const std::string text = ConfigFileText(written.value());
  EXPECT_EQ(text.find("api_key = \"other\""), std::string::npos) << "a secret is not written";
  const TomlPath file(text);
  const Texts arguments = {"--config", file.path()};
  const Result<Configuration> read = ParseConfiguration(arguments, {});
  ASSERT_TRUE(read.ok()) << read.error().message << "\n" << text;
  for (const Setting& row : Table()) {
    if (row.in_file && !row.secret) {
      EXPECT_EQ(Got(read, row), Got(written, row)) << row.key;
    }
  }
}

TEST(Describe, AFileOfDefaultsIsAllComments) {
  const Result<Configuration> nothing = ParseConfiguration({}, {});
  ASSERT_TRUE(nothing.ok());
  const TomlPath file(ConfigFileText(nothing.value()));
  const Texts arguments = {"--config", file.path()};
  const Result<Configuration> read = ParseConfiguration(arguments, {});
  ASSERT_TRUE(read.ok()) << read.error().message;
  for (size_t i = 0; i < Table().size(); ++i) {
    if (Table()[i].in_file) {
      EXPECT_EQ(read.value().origins[i], Origin::kDefault) << Table()[i].key;
    }
  }
}

}  // namespace
}  // namespace tenfold::config
