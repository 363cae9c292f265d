// The room's tests: made-up machines, and what each is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/src.hpp>
#include <set>

#include "doctor/findings.h"

namespace tenfold::doctor {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr uint64_t kGiB = uint64_t{1} << 30;

// A machine of which nothing bad can be said, with a model that fits.
Facts Good() {
  Facts f;
  f.cpu = "Test CPU";
  f.isa = f.widest_isa = "avx512vnni";
  f.cpus = {.physical_cores = 8, .fast_cores = 8, .logical_cpus = 16, .quota_cpus = 0, .threads = 8};
  f.threads_reason = "one for each of 8 cores";
  f.machine_cpus = 16;
  f.machine = {.memory_total_bytes = 32 * kGiB,
               .memory_available_bytes = 30 * kGiB,
               .memory_limit_bytes = 0,
               .swap_total_bytes = 0,
               .swap_free_bytes = 0,
               .huge_pages = "madvise",
               .hugetlb_bytes = 0,
               .load_average = 0.1,
               .governors = {"performance"}};
  f.shares = platform::CpuShares{.busy = 0.001, .steal = 0};
  f.lock.unlimited = true;
  f.model = ModelFacts{.path = "m.gguf",
                       .error = "",
                       .unsupported = {},
                       .file_bytes = 2 * kGiB,
                       .weight_bytes = 2 * kGiB,
                       .kv_bytes_per_token = 100'000,
                       .context = 8192,
                       .context_shortened = false,
                       .pool_tokens = 163'840,
                       .memory_error = "",
                       .cached = 1.0};
  f.address = "127.0.0.1:8080";
  return f;
}

Finding Of(const Facts& facts, const std::string& name) {
  for (const Finding& finding : Examine(facts)) {
    if (finding.name == name) return finding;
  }
  ADD_FAILURE() << "nothing is said of " << name;
  return {};
}

std::string Advice(const Finding& finding) {
  std::string out;
  for (const std::string& line : finding.advice) out += line + "\n";
  return out;
}

TEST(Doctor, AGoodMachineIsToldSo) {
  const std::vector<Finding> findings = Examine(Good());
  EXPECT_EQ(WorstOf(findings), Level::kOk);
  std::set<std::string> names;
  for (const Finding& finding : findings) {
    EXPECT_TRUE(names.insert(finding.name).second) << finding.name << " twice";
    EXPECT_FALSE(finding.says.empty());
  }
  EXPECT_EQ(findings.size(), 15u);
  EXPECT_THAT(ToText(findings), HasSubstr("15 fine, 0 warnings, 0 failures"));
}

// One thing wrong at a time: its own finding changes, with something to do, and no other one does.
TEST(Doctor, EachFaultIsFoundAlone) {
  struct Case {
    const char* name;
    Level level;
    const char* says;
    const char* advice;
    void (*harm)(Facts&);
  };
  const Case cases[] = {
      {"processor", Level::kWarn, "AVX2", "host", [](Facts& f) { f.isa = f.widest_isa = "scalar"; }},
      {"processor", Level::kWarn, "though it has avx512vnni", "TENFOLD_ISA", [](Facts& f) { f.isa = "avx2"; }},
      {"processor", Level::kFail, "no avx9", "TENFOLD_ISA", [](Facts& f) { f.isa_error = "no avx9"; }},
      {"cores", Level::kWarn, "the machine has 64", "--cpuset-cpus", [](Facts& f) { f.machine_cpus = 64; }},
      {"quota", Level::kWarn, "0.5 CPUs of it stay unused", "--cpus=4; systemd: CPUQuota=400%",
       [](Facts& f) { f.cpus.quota_cpus = 3.5, f.cpus.threads = 3; }},
      {"quota", Level::kFail, "less than one", "CPUQuota=", [](Facts& f) { f.cpus.quota_cpus = 0.5; }},
      {"memlock", Level::kWarn, "the weights take 2.00 GiB", "--ulimit memlock=-1",
       [](Facts& f) { f.lock = {.unlimited = false, .limit_bytes = kGiB, .room_bytes = kGiB}; }},
      {"huge pages", Level::kWarn, "switched off", "echo madvise", [](Facts& f) { f.machine.huge_pages = "never"; }},
      {"huge pages", Level::kWarn, "hugetlbfs", "nr_hugepages", [](Facts& f) { f.machine.hugetlb_bytes = 4 * kGiB; }},
      {"swap", Level::kWarn, "memory was short", "MemorySwapMax=0",
       [](Facts& f) { f.machine.swap_total_bytes = kGiB, f.machine.swap_free_bytes = kGiB / 2; }},
      {"steal", Level::kWarn, "2.0 %", "dedicated", [](Facts& f) { f.shares->steal = 0.02; }},
      {"steal", Level::kFail, "20.0 %", "dedicated", [](Facts& f) { f.shares->steal = 0.2; }},
      {"load", Level::kWarn, "8.0 CPUs busy", "top", [](Facts& f) { f.shares->busy = 0.5; }},
      {"load", Level::kWarn, "load average 3.00", "top", [](Facts& f) { f.machine.load_average = 3; }},
      {"clocks", Level::kWarn, "lowest clock", "cpupower",
       [](Facts& f) { f.machine.governors = {"powersave (acpi-cpufreq)"}; }},
      {"model file", Level::kFail, "cut off", "another", [](Facts& f) { f.model->error = "m.gguf: cut off"; }},
      {"model file", Level::kFail, "of type X9", "inspect",
       [](Facts& f) { f.model->unsupported = {"a tensor of type X9"}; }},
      {"fits", Level::kFail, "not enough memory", "smaller model",
       [](Facts& f) { f.model->memory_error = "not enough memory"; }},
      {"fits", Level::kWarn, "hold 9 such users", "q8_0", [](Facts& f) { f.model->pool_tokens = 8192 * 9 + 8191; }},
      {"port", Level::kFail, "in use", "--port", [](Facts& f) { f.port_error = "127.0.0.1:8080: in use"; }},
  };
  for (const Case& c : cases) {
    Facts facts = Good();
    c.harm(facts);
    const Finding finding = Of(facts, c.name);
    EXPECT_EQ(finding.level, c.level) << c.says;
    EXPECT_THAT(finding.says, HasSubstr(c.says));
    EXPECT_THAT(Advice(finding), HasSubstr(c.advice));
    for (const Finding& other : Examine(facts)) {
      if (other.name == c.name) continue;
      EXPECT_EQ(other.level, Level::kOk) << c.says << " changes " << other.name;
    }
  }
}

TEST(Doctor, BordersAreWhereTheyAreStated) {
  Facts f = Good();
  f.cpus.quota_cpus = 4;  // whole
  EXPECT_EQ(Of(f, "quota").level, Level::kOk);
  f.cpus.quota_cpus = 9.5;  // more than there are cores
  EXPECT_EQ(Of(f, "quota").level, Level::kOk);
  f.cpus.quota_cpus = 1;
  EXPECT_EQ(Of(f, "quota").level, Level::kOk);
  f.shares->steal = 0.0099;
  EXPECT_EQ(Of(f, "steal").level, Level::kOk);
  f.shares->steal = 0.1;
  EXPECT_EQ(Of(f, "steal").level, Level::kFail);
  f.shares.reset();
  EXPECT_EQ(Of(f, "steal").level, Level::kWarn);
  f.lock = {.unlimited = false, .limit_bytes = 2 * kGiB, .room_bytes = 2 * kGiB};
  EXPECT_EQ(Of(f, "memlock").level, Level::kOk);
  f.lock.room_bytes -= 1;
  EXPECT_EQ(Of(f, "memlock").level, Level::kWarn);
  f.model->pool_tokens = f.users * f.model->context;
  EXPECT_EQ(Of(f, "fits").level, Level::kOk);
  f.model->pool_tokens -= 1;
  EXPECT_EQ(Of(f, "fits").level, Level::kWarn);
  f.machine.governors = {"powersave (intel_pstate)"};
  EXPECT_EQ(Of(f, "clocks").level, Level::kOk);
  f.machine.governors.clear();
  EXPECT_EQ(Of(f, "clocks").level, Level::kOk);
}

TEST(Doctor, WithoutAModelTheMachineIsExaminedAlone) {
  Facts f = Good();
  f.model.reset();
  EXPECT_EQ(Examine(f).size(), 12u);
  EXPECT_EQ(WorstOf(Examine(f)), Level::kOk);
  f.lock = {.unlimited = false, .limit_bytes = 8 << 20, .room_bytes = 8 << 20};
  EXPECT_EQ(Of(f, "memlock").level, Level::kWarn);
}

TEST(Doctor, AContainersLimitIsNamedWithWhatRaisesIt) {
  Facts f = Good();
  f.machine.memory_limit_bytes = 2 * kGiB;
  f.machine.memory_available_bytes = kGiB;
  f.model->memory_error = "not enough memory";
  EXPECT_THAT(Of(f, "memory").says, HasSubstr("limited to 2.00 GiB by the cgroup"));
  EXPECT_THAT(Advice(Of(f, "fits")), HasSubstr("docker run --memory="));
  EXPECT_THAT(Advice(Of(f, "fits")), HasSubstr("MemoryMax="));
}

TEST(Doctor, JsonSaysTheSame) {
  Facts f = Good();
  f.machine.huge_pages = "never";
  const boost::json::object json = boost::json::parse(ToJson(Examine(f))).as_object();
  EXPECT_EQ(json.at("level"), "WARN");
  EXPECT_EQ(json.at("findings").as_array().size(), 15u);
  size_t bad = 0;
  for (const boost::json::value& finding : json.at("findings").as_array()) {
    bad += finding.at("level") != "OK";
    EXPECT_EQ(finding.at("advice").as_array().size(), finding.at("name") == "huge pages" ? 1u : 0u);
  }
  EXPECT_EQ(bad, 1u);
}

}  // namespace
}  // namespace tenfold::doctor
