#include "bench/roofline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/json/array.hpp>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "bench/manifest.h"
#include "bench/roofline_report.h"

namespace tenfold::bench {
namespace {

using ::testing::HasSubstr;

TEST(Roofline, RunTogetherGivesEveryCallAThreadOfItsOwn) {
  platform::ThreadPool pool(3, {});
  std::vector<std::thread::id> ids(3);
  double seconds = 0;
  for (int i = 0; i < 1000 && seconds == 0; ++i) {  // on a busy machine not every attempt finds three CPUs
    seconds = RunTogether(pool, [&](int t) { ids[static_cast<size_t>(t)] = std::this_thread::get_id(); });
  }
  EXPECT_GT(seconds, 0);
  EXPECT_EQ(std::set<std::thread::id>(ids.begin(), ids.end()).size(), 3u);
}

TEST(Roofline, RoundsOnlyRaiseTheResult) {
  platform::ThreadPool pool(1, {});
  const std::vector<kernels::Isa> isas = kernels::SupportedIsas();
  auto meter = RooflineMeter::Create(pool, isas);
  ASSERT_TRUE(meter.ok()) << meter.error().message;
  meter->Measure();
  const Roofline first = meter->best();
  meter->Measure();
  const Roofline second = meter->best();
  EXPECT_GT(first.read.one_thread, 0);
  EXPECT_GE(second.read.one_thread, first.read.one_thread);
  EXPECT_GE(second.read.all_threads, first.read.all_threads);
  size_t loops = 0;
  for (const kernels::Isa isa : isas) loops += kernels::PeakLoopsOf(isa).size();
  ASSERT_EQ(first.peaks.size(), loops);
  for (size_t i = 0; i < loops; ++i) {
    EXPECT_GE(second.peaks[i].macs_per_s, first.peaks[i].macs_per_s);
    EXPECT_GT(second.peaks[i].all_macs_per_s, 0) << second.peaks[i].loop.name;
  }
  const std::string text = Format(second);
  for (const Peak& peak : second.peaks) EXPECT_THAT(text, HasSubstr(peak.loop.name));
  EXPECT_EQ(ToJson(second).at("peaks").as_array().size(), loops);
}

TEST(Roofline, ThePeakOfASetIsItsBestLoop) {
  Roofline r;
  const auto add = [&](kernels::Isa isa, kernels::PeakKind kind, double rate) {
    Peak peak{.isa = isa, .all_macs_per_s = rate};
    peak.loop.kind = kind;
    r.peaks.push_back(peak);
  };
  add(kernels::Isa::kAvx2, kernels::PeakKind::kInteger, 2);
  add(kernels::Isa::kAvx2, kernels::PeakKind::kInteger, 3);
  add(kernels::Isa::kAvx2, kernels::PeakKind::kFloat, 4);
  add(kernels::Isa::kAvx512Vnni, kernels::PeakKind::kInteger, 5);
  EXPECT_EQ(r.AllMacsPerS(kernels::Isa::kAvx2, kernels::PeakKind::kInteger), 3);
  EXPECT_EQ(r.AllMacsPerS(kernels::Isa::kAvx2, kernels::PeakKind::kFloat), 4);
  EXPECT_EQ(r.AllMacsPerS(kernels::Isa::kScalar, kernels::PeakKind::kInteger), 0);
}

TEST(Roofline, APeakPerCycleIsOfItsOwnWindow) {
  const Peak peak{.isa = kernels::Isa::kAvx2,
                  .loop = {.name = "", .kind = kernels::PeakKind::kInteger, .instructions = 24, .macs = 768},
                  .macs_per_s = 192e9,
                  .clock_hz = 3e9};
  EXPECT_DOUBLE_EQ(peak.macs_per_cycle(), 64);
  EXPECT_DOUBLE_EQ(peak.instructions_per_cycle(), 2);
}

TEST(Manifest, SaysWhatAFigureNeeds) {
  const Manifest manifest = MakeManifest("bench test", 3);
  const boost::json::object json = ToJson(manifest);
  for (const char* key : {"command", "date", "commit", "compiler", "build", "cpu", "kernel", "isas", "load_average"}) {
    EXPECT_FALSE(json.at(key).as_string().empty()) << key;
  }
  EXPECT_EQ(json.at("kind").as_string(), "manifest");
  EXPECT_EQ(json.at("threads").as_int64(), 3);
  EXPECT_THAT(Format(manifest), HasSubstr(manifest.commit));
}

}  // namespace
}  // namespace tenfold::bench
