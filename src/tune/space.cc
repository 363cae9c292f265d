#include "tune/space.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/check.h"
#include "platform/placement.h"

namespace tenfold::tune {
namespace {

// Keys and values as q8_0 round what was computed: eight bits of precision are given up for more than noise only.
constexpr double kLeastGainOfPrecision = 0.05;

Variant One(const std::string& key, const std::string& value) { return {value, {{key, value}}}; }

// A knob of one setting: default, then what is worth trying, then the start if it is neither.
class KnobMaker {
 public:
  KnobMaker(const SpaceInput& input, const std::string& key) : key_(key), start_(input.start.at(key)) {
    knob_.name = key;
    Add(input.defaults.at(key));
  }
  void Add(const std::string& value) {
    const bool known =
        std::any_of(knob_.variants.begin(), knob_.variants.end(), [&](const Variant& v) { return v.text == value; });
    if (!known) knob_.variants.push_back(One(key_, value));
  }
  Knob Take() {
    Add(start_);
    return std::move(knob_);
  }

 private:
  std::string key_;
  std::string start_;
  Knob knob_;
};

// The default is one a core inside the quota. Beside it: one fewer, which leaves a CPU to the server's own thread and
// to others; all hyper-threads; all cores where the default is the fast ones alone; a quota rounded up.
Knob Threads(const SpaceInput& input, std::vector<NotTried>& not_tried) {
  KnobMaker maker(input, "threads");
  const platform::CpuBudget budget = platform::BudgetOf(input.topology, input.quota_cpus);
  const int most = input.quota_cpus > 0 ? std::min(budget.logical_cpus, static_cast<int>(std::ceil(input.quota_cpus)))
                                        : budget.logical_cpus;
  const auto add = [&](int threads) {
    if (threads >= 1 && threads <= most && threads != budget.threads) maker.Add(fmt::format("{}", threads));
  };
  add(budget.threads - 1);
  add(budget.physical_cores);
  add(most);
  if (budget.logical_cpus == budget.physical_cores) {
    not_tried.push_back({"hyper-threads", "this machine shows none: every CPU is a core"});
  } else if (most < budget.logical_cpus) {
    not_tried.push_back({"hyper-threads beyond the quota", fmt::format("{:.2f} CPUs are allowed", input.quota_cpus)});
  }
  return maker.Take();
}

// Requests computed together: all users at once, or half of them after the other half.
Knob Parallel(const SpaceInput& input) {
  KnobMaker maker(input, "parallel");
  maker.Add(fmt::format("{}", input.users));
  if (input.users >= 4) maker.Add(fmt::format("{}", (input.users + 1) / 2));
  return maker.Take();
}

// A batch larger than all prompts together plans the same steps as one that just holds them.
Knob Batch(const SpaceInput& input, std::vector<NotTried>& not_tried) {
  KnobMaker maker(input, "batch_size");
  const int64_t usual = std::stoll(input.defaults.at("batch_size"));
  for (const int64_t tokens : {256, 1024, 128, 2048}) {
    if (tokens > usual && usual >= input.prompt_tokens) {
      not_tried.push_back({fmt::format("batch_size {}", tokens),
                           fmt::format("the users' prompts have some {} tokens together, which one step of {} holds",
                                       input.prompt_tokens, usual)});
    } else if (tokens < 2 * input.prompt_tokens) {
      maker.Add(fmt::format("{}", tokens));
    } else {
      not_tried.push_back(
          {fmt::format("batch_size {}", tokens),
           fmt::format("no step of this workload has so many tokens (some {} in all prompts)", input.prompt_tokens)});
    }
  }
  Knob knob = maker.Take();
  knob.least_scale = 0.5;
  return knob;
}

std::vector<int> CpusOf(const SpaceInput& input, platform::Affinity::Kind kind) {
  const auto placed = platform::PlaceThreads(input.topology, input.quota_cpus, {kind, {}}, 0);
  return placed.ok() ? placed->cpus : std::vector<int>{};
}

Knob Affinity(const SpaceInput& input, std::vector<NotTried>& not_tried) {
  KnobMaker maker(input, "cpu_affinity");
  maker.Add("compact");
  if (CpusOf(input, platform::Affinity::Kind::kSpread) == CpusOf(input, platform::Affinity::Kind::kCompact)) {
    not_tried.push_back({"cpu_affinity spread", "it binds to the same CPUs as compact here"});
  } else {
    maker.Add("spread");
  }
  not_tried.push_back({"cpu_affinity with a list", "the lists are too many; give one to try it as your start"});
  return maker.Take();
}

Knob KvType(const SpaceInput& input) {
  Knob knob{.name = "kv_type",
            .variants = {},
            .bar = {.least_gain = kLeastGainOfPrecision, .whole = true},
            .price = "keys and values keep 8 bits of precision, so that answers differ a little"};
  const auto add = [&](const std::string& k, const std::string& v) {
    const std::string text = k == v ? k : fmt::format("{}/{}", k, v);
    for (const Variant& known : knob.variants) {
      if (known.text == text) return;
    }
    knob.variants.push_back({text, {{"cache_type_k", k}, {"cache_type_v", v}}});
  };
  add(input.defaults.at("cache_type_k"), input.defaults.at("cache_type_v"));
  add("q8_0", "q8_0");
  add(input.start.at("cache_type_k"), input.start.at("cache_type_v"));
  return knob;
}

Knob HugePages(const SpaceInput& input, std::vector<NotTried>& not_tried) {
  KnobMaker maker(input, "huge_pages");
  if (input.huge_pages_allowed) {
    maker.Add("false");
  } else {
    not_tried.push_back({"huge pages",
                         "the kernel forbids them (/sys/kernel/mm/transparent_hugepage/enabled); with `madvise` there "
                         "they can be had, which usually helps"});
  }
  return maker.Take();
}

void AddWhatIsNeverTried(std::vector<NotTried>& not_tried) {
  not_tried.push_back({"cache types that differ for keys and values", "twice the time for half of the effect"});
  not_tried.push_back({"mmap, load", "they change how the model is loaded, not how it answers"});
  not_tried.push_back({"mlock", "it keeps memory from being swapped out, which no measurement of minutes shows"});
  not_tried.push_back({"kv_memory, prefix_cache", "how much is kept for prompts that begin alike depends on yours"});
  not_tried.push_back({"exact", "it changes what is computed"});
  not_tried.push_back({"TENFOLD_ISA", "the widest instruction set of this CPU is used already"});
}

size_t IndexIn(const Knob& knob, const Assignment& settings) {
  for (size_t v = 0; v < knob.variants.size(); ++v) {
    const Assignment& own = knob.variants[v].settings;
    const bool same = std::all_of(own.begin(), own.end(),
                                  [&](const auto& entry) { return settings.at(entry.first) == entry.second; });
    if (same) return v;
  }
  TENFOLD_CHECK(false, "the start is a variant of every knob");
  return 0;
}

}  // namespace

std::vector<std::string> TunedKeys() {
  return {"threads", "parallel", "batch_size", "cpu_affinity", "huge_pages", "cache_type_k", "cache_type_v"};
}

Assignment Space::SettingsOf(const Candidate& candidate) const {
  Assignment all;
  for (size_t k = 0; k < knobs.size(); ++k) {
    const Assignment& some = knobs[k].variants[candidate[k]].settings;
    all.insert(some.begin(), some.end());
  }
  return all;
}

std::string Space::TextOf(const Candidate& candidate) const {
  std::string text;
  for (size_t k = 0; k < knobs.size(); ++k) {
    if (candidate[k] == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", knobs[k].name, knobs[k].variants[candidate[k]].text);
  }
  return text.empty() ? "the defaults" : text;
}

// From what usually matters most: what is found early is the ground that the rest is measured on. Batch sizes come
// last, because they need the longest measurements and may have whatever time the others have left.
Space MakeSpace(const SpaceInput& input) {
  Space space;
  space.knobs.push_back(Threads(input, space.not_tried));
  space.knobs.push_back(Parallel(input));
  space.knobs.push_back(HugePages(input, space.not_tried));
  space.knobs.push_back(Affinity(input, space.not_tried));
  space.knobs.push_back(KvType(input));
  space.knobs.push_back(Batch(input, space.not_tried));
  AddWhatIsNeverTried(space.not_tried);
  for (const Knob& knob : space.knobs) space.start.push_back(IndexIn(knob, input.start));
  return space;
}

}  // namespace tenfold::tune
