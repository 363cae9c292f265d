// Precedence, names that nobody knows, llama-server's flags, files and keys.
#include "config/parse.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "base/nearest_name.h"
#include "config/toml_file.h"

namespace tenfold::config {
namespace {

using Texts = std::vector<std::string>;

class TempFile {
 public:
  explicit TempFile(const std::string& text)
      : path_(::testing::TempDir() + "tenfold_parse_test" + std::to_string(getpid())) {
    std::ofstream(path_) << text;
  }
  ~TempFile() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string ErrorOf(const Texts& arguments, const Texts& environment = {}) {
  const Result<Configuration> parsed = ParseConfiguration(arguments, environment);
  return parsed.ok() ? "accepted" : parsed.error().message;
}

Configuration Parsed(const Texts& arguments, const Texts& environment = {}) {
  Result<Configuration> parsed = ParseConfiguration(arguments, environment);
  EXPECT_TRUE(parsed.ok()) << (parsed.ok() ? "" : parsed.error().message);
  return parsed.ok() ? std::move(parsed).value() : Configuration{};
}

TEST(Precedence, FlagThenEnvironmentThenFileThenDefault) {
  const TempFile file("port = 1\nhost = \"file\"\nparallel = 3\napi_key = [\"f1\", \"f2\"]\n");
  const Texts environment = {"TENFOLD_PORT=2", "TENFOLD_HOST=environment", "TENFOLD_CONFIG=" + file.path(),
                             "TENFOLD_API_KEY=e1,e2"};
  const Configuration all = Parsed({"--port", "4", "--port=3", "--api-key", "a", "--api-key", "b, c"}, environment);
  EXPECT_EQ(all.settings.port, 3);
  EXPECT_EQ(all.settings.host, "environment");
  EXPECT_EQ(all.settings.parallel, 3);
  EXPECT_EQ(all.settings.batch_size, Settings{}.batch_size);
  EXPECT_EQ(all.settings.api_key, (Texts{"a", "b", "c"}));
  EXPECT_EQ(Parsed({}, environment).settings.api_key, (Texts{"e1", "e2"}));
  EXPECT_EQ(Parsed({"--config", file.path()}).settings.api_key, (Texts{"f1", "f2"}));
  EXPECT_EQ(Parsed({"--config", file.path()}).settings.host, "file");
}

TEST(Precedence, AWrongValueIsAnErrorEvenWhereAFlagWins) {
  const TempFile file("port = 70000\n");
  EXPECT_NE(ErrorOf({"--port", "1"}, {"TENFOLD_PORT=x"}), "accepted");
  EXPECT_NE(ErrorOf({"--port", "1", "--config", file.path()}), "accepted");
}

TEST(Sizes, LettersArePowersOf1024InEverySource) {
  EXPECT_EQ(Parsed({"--kv-memory", "2G"}).settings.kv_memory, int64_t{2} << 30);
  EXPECT_EQ(Parsed({"--kv-memory=64m"}).settings.kv_memory, int64_t{64} << 20);
  EXPECT_EQ(Parsed({}, {"TENFOLD_KV_MEMORY=16T"}).settings.kv_memory, int64_t{16} << 40);
  EXPECT_EQ(Parsed({"--kv-memory", "4096"}).settings.kv_memory, 4096);
  EXPECT_EQ(Parsed({"--config", TempFile("kv_memory = \"512K\"\n").path()}).settings.kv_memory, 512 << 10);
  EXPECT_EQ(Parsed({"--config", TempFile("kv_memory = 4097\n").path()}).settings.kv_memory, 4097);
  for (const char* bad : {"17T", "-1G", "G", "2GiB", "1.5G", "9223372036854775807K", "2 G", "-9223372036854775808T"}) {
    EXPECT_NE(ErrorOf({"--kv-memory", bad}).find("powers of 1024"), std::string::npos) << bad;
  }
  EXPECT_NE(ErrorOf({"--parallel", "2K"}).find("no whole number"), std::string::npos);
}

TEST(Precedence, VerboseIsDebugUnlessAStrongerSourceNamesALevel) {
  EXPECT_EQ(Parsed({"-v"}).settings.log_level, "debug");
  EXPECT_EQ(Parsed({"--log-level", "error"}, {"TENFOLD_VERBOSE=1"}).settings.log_level, "error");
  EXPECT_EQ(Parsed({"-v"}, {"TENFOLD_LOG_LEVEL=error"}).settings.log_level, "debug");
  EXPECT_EQ(Parsed({"--no-verbose"}, {"TENFOLD_VERBOSE=1"}).settings.log_level, "info");
}

TEST(Names, OtherCacheTypesOfLlamaCppAreRefusedWithThoseThatWork) {
  const Settings s = Parsed({"-ctk", "q8_0", "--cache-type-v", "q8_0"}).settings;
  EXPECT_EQ(s.cache_type_k, "q8_0");
  EXPECT_EQ(s.cache_type_v, "q8_0");
  EXPECT_EQ(Parsed({}).settings.cache_type_k, "f16");
  for (const char* type : {"f32", "bf16", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"}) {
    const std::string message = ErrorOf({"--cache-type-v", type});
    EXPECT_NE(message.find("--cache-type-v"), std::string::npos) << message;
    EXPECT_NE(message.find("f16 or q8_0"), std::string::npos) << message;
  }
}

TEST(Names, TheOriginalServicesNamesKeepTheirMeaning) {
  const TempFile file(
      "n_ctx = 1024\nn_threads = 3\nn_batch = 64\nn_gpu_layers = 20\nuse_mlock = true\nuse_mmap = false\n"
      "verbose = true\n");
  const Texts environment = {"TENFOLD_N_CTX=1024",      "TENFOLD_N_THREADS=3",    "TENFOLD_N_BATCH=64",
                             "TENFOLD_N_GPU_LAYERS=20", "TENFOLD_USE_MLOCK=true", "TENFOLD_USE_MMAP=0",
                             "TENFOLD_VERBOSE=yes"};
  for (const Configuration& got : {Parsed({"--config", file.path()}), Parsed({}, environment)}) {
    const Settings& s = got.settings;
    EXPECT_EQ(s.ctx_size, 1024);
    EXPECT_EQ(s.threads, 3);
    EXPECT_EQ(s.batch_size, 64);
    EXPECT_TRUE(s.mlock);
    EXPECT_FALSE(s.mmap);
    EXPECT_EQ(s.log_level, "debug");
    ASSERT_EQ(got.warnings.size(), 1u);
    EXPECT_NE(got.warnings[0].find("gpu_layers is 20"), std::string::npos);
  }
}

TEST(Names, UnknownOnesAreRefusedWithTheNearest) {
  EXPECT_EQ(ErrorOf({"--ctx-sise", "4"}), "Unknown flag --ctx-sise. Did you mean --ctx-size?");
  EXPECT_EQ(ErrorOf({"--no-mmpa"}), "Unknown flag --no-mmpa. Did you mean --no-mmap?");
  EXPECT_EQ(ErrorOf({"--ctx"}), "Unknown flag --ctx. Did you mean --ctx-size?");
  EXPECT_EQ(ErrorOf({"-c4096"}), "Unknown flag -c4096. Did you mean -c 4096?");
  EXPECT_EQ(ErrorOf({"--quite-something-else"}), "Unknown flag --quite-something-else.");
  EXPECT_EQ(ErrorOf({"model.gguf"}), "Unexpected argument 'model.gguf'; to serve a model file: tenfold serve -m FILE.");
  EXPECT_EQ(ErrorOf({}, {"TENFOLD_PROT=1"}),
            "Unknown setting TENFOLD_PROT in the environment. Did you mean TENFOLD_PORT?");
  const TempFile file("port = 1\nn_ctz = 2\n");
  EXPECT_EQ(ErrorOf({"--config", file.path()}), file.path() + ":2: n_ctz is no setting. Did you mean n_ctx?");
}

TEST(Names, TwoNamesOfOneSettingInOneSourceAreRefused) {
  EXPECT_NE(ErrorOf({}, {"TENFOLD_N_CTX=1", "TENFOLD_CTX_SIZE=1"}).find("set twice"), std::string::npos);
  const TempFile file("n_ctx = 1\nctx_size = 1\n");
  EXPECT_NE(ErrorOf({"--config", file.path()}).find("set twice"), std::string::npos);
}

TEST(Names, OtherVariablesAreLeftAlone) {
  const Configuration got = Parsed({}, {"TENFOLD_ISA=avx2", "TENFOLD_TEST_DATA=/x", "TENFOLD_TOOLS=/x",
                                        "TENFOLD_BINARY=/x", "TENFOLD_TEST_RESULTS=/x", "TENFOLDER=1", "TENFOLD_HOST=",
                                        // What Kubernetes sets for a service called tenfold:
                                        "TENFOLD_PORT=tcp://10.0.0.1:8080", "TENFOLD_SERVICE_HOST=10.0.0.1",
                                        "TENFOLD_SERVICE_PORT_HTTP=80", "TENFOLD_PORT_8080_TCP_ADDR=10.0.0.1"});
  EXPECT_EQ(got.settings.port, Settings{}.port);
  EXPECT_EQ(got.settings.host, Settings{}.host);
}

TEST(Foreign, HarmlessFlagsOfLlamaServerAreTakenWithAWarning) {
  const Configuration got =
      Parsed({"--jinja", "-fa", "on", "-ub", "512", "-fa", "-np", "4", "-ngl", "99", "--no-webui"});
  EXPECT_EQ(got.settings.parallel, 4);
  ASSERT_EQ(got.warnings.size(), 6u);
  EXPECT_EQ(got.warnings[0], "--jinja has no effect: chat templates are always run");
}

TEST(Foreign, OthersAreRefusedWithTheReason) {
  EXPECT_EQ(ErrorOf({"--lora", "x"}), "--lora is not supported: adapters are not applied; merge it into the file.");
  EXPECT_EQ(ErrorOf({"--temp=0.5"}), "--temp is not supported: it belongs into the request.");
  EXPECT_EQ(ErrorOf({"-ub"}), "-ub needs a value.");
}

TEST(Values, AFlagNeedsItsValue) {
  EXPECT_NE(ErrorOf({"--port"}).find("--port needs a value: 0 to 65535"), std::string::npos);
  EXPECT_NE(ErrorOf({"--alias", "--port", "1"}).find("--alias needs a value"), std::string::npos);
  EXPECT_NE(ErrorOf({"--no-mlock=true"}).find("takes no value"), std::string::npos);
  EXPECT_EQ(Parsed({"-t", "-1"}).settings.threads, -1);
}

TEST(Values, TheFileIsStrictAboutTypes) {
  for (const char* text :
       {"port = \"80\"", "port = 80.0", "port = 2020-01-01", "port = [1]", "mlock = 1", "mlock = \"true\"", "host = 1",
        "api_key = [1]", "[server]\nport = 1", "config = \"x\"", "port 80", "port = 1\nport = 2", "a.b = 1"}) {
    const TempFile file(std::string(text) + "\n");
    const std::string error = ErrorOf({"--config", file.path()});
    EXPECT_EQ(error.find(file.path() + ":"), 0u) << text << " -> " << error;
  }
}

TEST(Values, SecretsAreNotRepeatedInErrors) {
  EXPECT_EQ(ErrorOf({"--api-key", "hush\x01"}).find("hush"), std::string::npos);
  EXPECT_NE(ErrorOf({"--api-key", "a,,b"}), "accepted");
}

TEST(Values, ControlCharactersOfAValueDoNotReachTheTerminal) {
  const std::string error = ErrorOf({"--port", "\x1b[2J"});
  EXPECT_EQ(error.find('\x1b'), std::string::npos);
}

TEST(Values, WhatBelongsTogether) {
  EXPECT_EQ(ErrorOf({"--tls-cert", "c"}), "tls_cert is set but tls_key is not: HTTPS needs both.");
  EXPECT_EQ(ErrorOf({"--tls-key", "c"}), "tls_key is set but tls_cert is not: HTTPS needs both.");
  for (const char* origin : {"https://a.example/", "a.example", "https://", "https://*.example", "null"}) {
    EXPECT_NE(ErrorOf({"--cors-origin", origin}), "accepted") << origin;
  }
  EXPECT_EQ(Parsed({"--cors-origin", "*"}).settings.cors_origin, Texts{"*"});
}

TEST(Files, WhatCannotBeReadIsSaid) {
  const Result<Configuration> missing = ParseConfiguration(Texts{"--config", "/nonexistent.toml"}, {});
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_NE(missing.error().message.find("/nonexistent.toml"), std::string::npos);
  EXPECT_NE(ErrorOf({"--config", "/"}).find("not a regular file"), std::string::npos);
  EXPECT_FALSE(ParseToml(std::string((1 << 20) + 1, '#'), "big").ok());
  EXPECT_FALSE(ParseToml("a = " + std::string(100'000, '['), "deep").ok());
}

TEST(Files, HelpWinsOverWhatIsWrong) {
  EXPECT_EQ(Parsed({"--help", "--nonsense"}).action, Action::kHelp);
  EXPECT_EQ(Parsed({"--port", "1", "-h"}).action, Action::kHelp);
  EXPECT_EQ(Parsed({"--print-config", "--port", "1"}).action, Action::kPrintConfig);
}

TEST(Keys, OfTheSettingAndTheFileTogether) {
  const TempFile file("# ours\n\n  k2  \r\nk1\nk3");
  Settings s;
  s.api_key = {"k1"};
  s.api_key_file = file.path();
  const auto keys = AllApiKeys(s);
  ASSERT_TRUE(keys.ok());
  EXPECT_EQ(keys.value(), (Texts{"k1", "k2", "k3"}));
  const TempFile empty("# none\n");
  EXPECT_FALSE(AllApiKeys(s).ok()) << "a file without keys must not leave the server open";
  s.api_key_file = "/nonexistent";
  EXPECT_FALSE(AllApiKeys(s).ok());
}

TEST(Nearest, EditDistance) {
  EXPECT_EQ(EditDistance("", ""), 0);
  EXPECT_EQ(EditDistance("abc", ""), 3);
  EXPECT_EQ(EditDistance("abc", "abd"), 1);
  EXPECT_EQ(EditDistance("prot", "port"), 1);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
  EXPECT_EQ(EditDistance(std::string(1'000'000, 'a'), "a"), 63);
  EXPECT_EQ(NearestName("xyz", Texts{"port", "host"}), "");
}

}  // namespace
}  // namespace tenfold::config
