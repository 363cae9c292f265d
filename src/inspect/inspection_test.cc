#include "inspect/inspection.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <boost/json/src.hpp>
#include <functional>

#include "gguf/test_model.h"
#include "gguf/writer.h"
#include "inspect/report.h"

namespace tenfold::inspect {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Machine TestMachine(uint64_t available_bytes) {
  Machine machine;
  machine.cpu = "Test CPU";
  machine.available_bytes = available_bytes;
  machine.cpus.threads = 3;
  machine.lock.room_bytes = 1000;
  return machine;
}

Inspection InspectBytes(const std::vector<uint8_t>& bytes, const Machine& machine) {
  std::string path = ::testing::TempDir() + "/inspect_test_XXXXXX";
  const int fd = mkstemp(path.data());
  EXPECT_EQ(write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  close(fd);
  const auto model = gguf::ModelFile::Open(path);
  unlink(path.c_str());
  EXPECT_TRUE(model.ok()) << model.error().message;
  return Inspect(*model, "tiny.gguf", machine);
}

// The tiny model with some metadata changed.
std::vector<uint8_t> Altered(const std::function<void(gguf::Writer&)>& change) {
  const auto bytes = gguf::MakeTinyModel({.types = "q4_k_m"});
  const auto file = gguf::File::Parse(bytes).value();
  gguf::Writer writer;
  for (const auto& [key, value] : file.metadata()) writer.Set(key, value);
  for (const auto& t : file.tensors()) {
    writer.AddTensor(t.name, t.type, t.dims, std::span(bytes).subspan(t.offset_bytes, t.size_bytes));
  }
  change(writer);
  return writer.Serialize();
}

TEST(Inspect, SaysWhatAFileIs) {
  const auto bytes = gguf::MakeTinyModel({.types = "q4_k_m"});
  const Inspection i = InspectBytes(bytes, TestMachine(uint64_t{1} << 30));
  EXPECT_THAT(i.unsupported, IsEmpty());
  EXPECT_EQ(i.architecture, "qwen3");
  EXPECT_EQ(i.file_bytes, bytes.size());
  EXPECT_EQ(i.vocabulary, 512u);
  EXPECT_EQ(i.context_length, 4096);
  EXPECT_TRUE(i.has_chat_template);
  EXPECT_EQ(i.tool_format, "none");
  uint64_t tensors = 0, file_bytes = 0, memory_bytes = 0;
  for (const TypeUse& use : i.types) {
    tensors += use.tensors;
    file_bytes += use.file_bytes;
    memory_bytes += use.memory_bytes;
    EXPECT_TRUE(use.computable);
    EXPECT_EQ(use.direct_kernel.empty(), use.type == "F32") << use.type;  // only norms are F32 here
  }
  EXPECT_EQ(tensors, gguf::File::Parse(bytes).value().tensors().size());
  EXPECT_LE(file_bytes, bytes.size());
  EXPECT_GE(*i.weight_bytes, file_bytes);
  EXPECT_LE(memory_bytes, *i.weight_bytes);
  EXPECT_GE(memory_bytes + tensors * 64, *i.weight_bytes);  // each tensor begins on a cache line
}

TEST(Inspect, SaysHowMuchATypeGrowsInMemory) {
  const auto bytes = gguf::MakeTinyModel({.types = "q2_k"});
  const Machine machine = TestMachine(uint64_t{1} << 30);
  const Inspection i = InspectBytes(bytes, machine);
  ASSERT_EQ(i.types.front().type, "Q2_K");
  EXPECT_GT(i.types.front().memory_bytes, 2 * i.types.front().file_bytes);
  EXPECT_THAT(ToText(i, machine), HasSubstr(" in memory"));
  EXPECT_THAT(ToJson(i, machine), HasSubstr(fmt::format("\"memory_bytes\":{}", i.types.front().memory_bytes)));
}

TEST(Inspect, CountsKeysAndValuesOfOneToken) {
  const Inspection i = InspectBytes(gguf::MakeTinyModel({.types = "q4_k_m"}), TestMachine(uint64_t{1} << 30));
  // 2 layers, 2 KV heads of 64, K and V, halves.
  EXPECT_EQ(*i.kv_bytes_per_token, 2u * 2 * 64 * 2 * 2);
}

TEST(Inspect, CountsUsersAsTheServerSizesItsPool) {
  const auto bytes = gguf::MakeTinyModel({.types = "q4_k_m"});
  const uint64_t weights = *InspectBytes(bytes, TestMachine(1)).weight_bytes;
  const auto users = [&](uint64_t more) {
    std::vector<int64_t> out;
    for (const Fit& fit : InspectBytes(bytes, TestMachine(weights + more)).fits) out.push_back(fit.users);
    return out;
  };
  constexpr uint64_t kMiB = uint64_t{1} << 20;  // 1024 tokens are 1 MiB, 4096 are 4 MiB
  EXPECT_THAT(users(0), ElementsAre(0, 0));
  EXPECT_THAT(users(kMiB), ElementsAre(1, 0));
  EXPECT_THAT(users(4 * kMiB), ElementsAre(1, 1));
  EXPECT_THAT(users(168 * kMiB), ElementsAre(40, 10));      // 128 MiB are the least margin
  EXPECT_THAT(users(1600 * kMiB), ElementsAre(1400, 350));  // then an eighth
  EXPECT_THAT(InspectBytes(bytes, TestMachine(0)).fits, IsEmpty());
}

TEST(Inspect, WhatIsUnsupportedIsNamedBesideAllThatIsKnown) {
  const Machine machine = TestMachine(uint64_t{1} << 30);
  const Inspection other = InspectBytes(Altered([](gguf::Writer& w) {
                                          w.Set("general.architecture", std::string("mamba"));
                                          w.Set("mamba.context_length", uint32_t{77});
                                          w.Set("tokenizer.ggml.pre", std::string("tekken"));
                                        }),
                                        machine);
  ASSERT_EQ(other.unsupported.size(), 2u);
  EXPECT_THAT(other.unsupported[0], HasSubstr("mamba"));
  EXPECT_THAT(other.unsupported[1], HasSubstr("tekken"));
  EXPECT_EQ(other.context_length, 77);
  EXPECT_GT(other.parameters, 0u);
  EXPECT_FALSE(other.weight_bytes);
  const std::string text = ToText(other, machine);
  for (const char* part : {"mamba", "77 tokens", "unsupported", "Q4_K", "512 tokens"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  const Inspection tensor =
      InspectBytes(Altered([](gguf::Writer& w) {
                     w.AddTensor("strange.weight", tensor::DType::kI32, {8}, std::vector<uint8_t>(32));
                   }),
                   machine);
  ASSERT_EQ(tensor.unsupported.size(), 1u);
  EXPECT_THAT(tensor.unsupported[0], HasSubstr("strange.weight"));
  EXPECT_THAT(ToText(tensor, machine), HasSubstr("not computable"));
}

TEST(Inspect, HostileNamesForgeNoLine) {
  const Machine machine = TestMachine(uint64_t{1} << 30);
  const Inspection i = InspectBytes(
      Altered([](gguf::Writer& w) { w.Set("general.name", std::string("a\nfits yes\x1b[31m\xff")); }), machine);
  for (const char c : ToText(i, machine)) EXPECT_TRUE(c == '\n' || (c >= ' ' && c <= '~')) << static_cast<int>(c);
  EXPECT_THAT(ToText(i, machine), Not(HasSubstr("\nfits yes\x1b")));
  EXPECT_NO_THROW(static_cast<void>(boost::json::parse(ToJson(i, machine))));
}

TEST(Inspect, JsonSaysTheSame) {
  const Machine machine = TestMachine(uint64_t{1} << 30);
  const Inspection i = InspectBytes(gguf::MakeTinyModel({.types = "q4_k_m"}), machine);
  const boost::json::object json = boost::json::parse(ToJson(i, machine)).as_object();
  EXPECT_EQ(json.at("architecture").as_string(), "qwen3");
  EXPECT_EQ(json.at("weight_bytes").to_number<uint64_t>(), *i.weight_bytes);
  EXPECT_EQ(json.at("fits").as_array().size(), i.fits.size());
  EXPECT_EQ(json.at("machine").as_object().at("threads").to_number<int>(), 3);
  EXPECT_TRUE(json.at("unsupported").as_array().empty());
  const Inspection other =
      InspectBytes(Altered([](gguf::Writer& w) { w.Set("general.architecture", std::string("mamba")); }), machine);
  EXPECT_TRUE(boost::json::parse(ToJson(other, machine)).at("weight_bytes").is_null());
}

TEST(Inspect, TextSaysWhetherItFitsAndWhatLimitsMlock) {
  const auto bytes = gguf::MakeTinyModel({.types = "q4_k_m"});
  const auto text = [&](const Machine& machine) { return ToText(InspectBytes(bytes, machine), machine); };
  EXPECT_THAT(text(TestMachine(1000)), HasSubstr("fits             no"));
  EXPECT_THAT(text(TestMachine(0)), HasSubstr("cannot be read"));
  Machine machine = TestMachine(uint64_t{1} << 30);
  EXPECT_THAT(text(machine), HasSubstr("fits             yes"));
  EXPECT_THAT(text(machine), HasSubstr("ulimit -l"));
  machine.lock.unlimited = true;
  EXPECT_THAT(text(machine), HasSubstr("--mlock          possible"));
}

}  // namespace
}  // namespace tenfold::inspect
