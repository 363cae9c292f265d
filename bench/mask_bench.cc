// What a grammar costs a row: the token mask of each step of an answer, over Qwen's 151,643 tokens, cold (a grammar
// that nobody has used yet) and warm (one that has seen these states). A real answer is followed token by token, then
// random ones. Needs TENFOLD_TEST_DATA; `us_mask` is the mean, `us_worst` the longest of a walk.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "grammar/gbnf.h"
#include "grammar/grammar.h"
#include "grammar/schema.h"
#include "grammar/unicode_text.h"

namespace {

using namespace tenfold;
using grammar::Grammar;
using grammar::Matcher;
using GrammarPtr = std::shared_ptr<const Grammar>;

struct Example {
  const char* name;
  const char* schema;
  const char* answer;
};
const Example kExamples[] = {
    {"person",
     R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150},"email":
        {"type":"string","format":"email"},"tags":{"type":"array","items":{"type":"string","maxLength":20}}},
        "required":["name","age","email","tags"],"additionalProperties":false})",
     R"({"name": "Ada Lovelace", "age": 36, "email": "ada@example.org", "tags": ["mathematics", "first programmer"]})"},
    {"tree",
     R"({"$defs":{"node":{"type":"object","properties":{"label":{"type":"string"},"kind":{"enum":["leaf","branch"]},"children":
        {"type":"array","items":{"$ref":"#/$defs/node"}}},"required":["label","kind","children"]}},"$ref":"#/$defs/node"})",
     "{\n  \"label\": \"root of it\",\n  \"kind\": \"branch\",\n  \"children\": [\n    {\"label\": \"a leaf, and "
     "more\", "
     "\"kind\": \"leaf\", \"children\": []}\n  ]\n}"},
    {"any", "true",
     R"({"city": "Zürich", "temperatures": [3.5, -1, 2e3], "notes": {"sky": "cloudy with \"sun\"", "ok": true}, "x": null})"},
};

// GPT-2's way of writing bytes as printable characters, undone.
std::string BytesOf(const std::string& written) {
  static const auto table = [] {
    std::map<uint32_t, char> out;
    uint32_t next = 256;
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
      out[printable ? byte : next++] = static_cast<char>(byte);
    }
    return out;
  }();
  std::string bytes;
  for (const uint32_t character : grammar::CharactersOf(written)) bytes += table.at(character);
  return bytes;
}

struct Tokens {
  std::shared_ptr<const grammar::Vocabulary> vocabulary;
  std::unordered_map<std::string, int32_t> ids;
};

const Tokens* Load() {
  static const auto* tokens = []() -> const Tokens* {
    const char* folder = std::getenv("TENFOLD_TEST_DATA");
    std::ifstream in(std::string(folder == nullptr ? "" : folder) + "/tokenizer/qwen2/vocab.json", std::ios::binary);
    if (!in) return nullptr;
    const std::string text(std::istreambuf_iterator<char>(in), {});
    auto* out = new Tokens;
    std::vector<std::string> bytes;
    const boost::json::object ids = boost::json::parse(text).as_object();
    for (const auto& field : ids) {
      const auto id = static_cast<size_t>(field.value().as_int64());
      bytes.resize(std::max(bytes.size(), id + 1));
      bytes[id] = BytesOf(std::string(field.key()));
      out->ids.emplace(bytes[id], static_cast<int32_t>(id));
    }
    bytes.resize(bytes.size() + 3);
    const auto end = static_cast<int32_t>(bytes.size()) - 1;
    out->vocabulary = std::make_shared<const grammar::Vocabulary>(bytes, std::vector<int32_t>{end});
    return out;
  }();
  return tokens;
}

GrammarPtr Compile(const Example& example) {
  grammar::Syntax syntax;
  const grammar::ExprId root = grammar::AddSchema(syntax, boost::json::parse(example.schema)).value();
  return Grammar::Compile(syntax, root, Load()->vocabulary).value();
}

// The answer in its longest tokens.
std::vector<int32_t> TokensOf(std::string_view text) {
  std::vector<int32_t> out;
  while (!text.empty()) {
    size_t length = std::min<size_t>(text.size(), 30);
    while (!Load()->ids.contains(std::string(text.substr(0, length)))) --length;
    out.push_back(Load()->ids.at(std::string(text.substr(0, length))));
    text.remove_prefix(length);
  }
  return out;
}

struct Cost {
  int64_t masks = 0;
  int64_t total_ns = 0;
  int64_t worst_ns = 0;
};

std::span<const uint64_t> Timed(Matcher& matcher, Cost& cost) {
  const int64_t begin = NowNs();
  const std::span<const uint64_t> mask = matcher.Mask().value();
  const int64_t took = NowNs() - begin;
  ++cost.masks;
  cost.total_ns += took;
  cost.worst_ns = std::max(cost.worst_ns, took);
  return mask;
}

void Follow(const GrammarPtr& compiled, const std::vector<int32_t>& tokens, Cost& cost) {
  Matcher matcher(compiled);
  for (const int32_t token : tokens) {
    const auto mask = Timed(matcher, cost);
    const bool allowed = (mask[static_cast<size_t>(token) / 64] >> (token % 64) & 1) != 0;
    if (!allowed || !matcher.Accept(token).ok()) std::abort();
  }
}

void Wander(const GrammarPtr& compiled, uint32_t seed, Cost& cost) {
  std::mt19937 random(seed);
  Matcher matcher(compiled);
  for (int i = 0; i < 60 && !matcher.MustEnd(); ++i) {
    const auto mask = Timed(matcher, cost);
    auto token = static_cast<size_t>(random() % static_cast<uint32_t>(compiled->vocabulary().size()));
    while ((mask[token / 64] >> (token % 64) & 1) == 0)
      token = (token + 1) % static_cast<size_t>(compiled->vocabulary().size());
    if (compiled->vocabulary().IsEnd(static_cast<int32_t>(token)) || !matcher.Accept(static_cast<int32_t>(token)).ok())
      return;
  }
}

template <class Walk>
void Measure(benchmark::State& state, const Example& example, bool warm, Walk&& walk) {
  if (Load() == nullptr) return state.SkipWithError("TENFOLD_TEST_DATA has no Qwen vocabulary");
  GrammarPtr compiled = Compile(example);
  Cost ignored;
  walk(compiled, ignored);
  Cost cost;
  for (auto _ : state) {
    if (!warm) compiled = Compile(example);
    walk(compiled, cost);
  }
  state.counters["us_mask"] = static_cast<double>(cost.total_ns) / 1e3 / static_cast<double>(cost.masks);
  state.counters["us_worst"] = static_cast<double>(cost.worst_ns) / 1e3;
}

void Register(const Example& example) {
  for (const bool warm : {false, true}) {
    const std::string kind = warm ? "/warm" : "/cold";
    benchmark::RegisterBenchmark(("answer/" + std::string(example.name) + kind).c_str(), [&example, warm](auto& state) {
      Measure(state, example, warm,
              [&](const GrammarPtr& compiled, Cost& cost) { Follow(compiled, TokensOf(example.answer), cost); });
    });
    benchmark::RegisterBenchmark(("random/" + std::string(example.name) + kind).c_str(), [&example, warm](auto& state) {
      Measure(state, example, warm, [&](const GrammarPtr& compiled, Cost& cost) { Wander(compiled, 1, cost); });
    });
  }
  benchmark::RegisterBenchmark(("compile/" + std::string(example.name)).c_str(), [&example](auto& state) {
    if (Load() == nullptr) return state.SkipWithError("TENFOLD_TEST_DATA has no Qwen vocabulary");
    for (auto _ : state) benchmark::DoNotOptimize(Compile(example));
  });
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  for (const Example& example : kExamples) Register(example);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
