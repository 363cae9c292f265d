#include "tune/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/json.hpp>

#include "stats/summary.h"

namespace tenfold::tune {
namespace {

namespace json = boost::json;

int64_t Number(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_number() ? value->to_number<int64_t>() : 0;
}

double GiB(double bytes) { return bytes / (1 << 30); }

std::string Stopped(const Outcome& o) {
  return o.ending == Ending::kStopped
             ? "stopped before anything was decided; the measurements are kept, the same command takes them up again\n"
             : fmt::format("nothing could be measured: {}\n", o.failure);
}

std::string Result(const Space& space, const Outcome& o, const ReportInput& in) {
  std::string out = fmt::format("-- chosen: {}\n", space.TextOf(o.chosen));
  out += fmt::format("{:<22}{}\n", "gain", GainOf(space, o));
  if (!o.defaults_failure.empty()) {
    out += fmt::format("{:<22}could not be measured: {}\n", "the defaults", o.defaults_failure);
  }
  if (o.start) {
    const Pairs& pairs = o.start->pairs;
    const std::string than = o.start->failure.empty()
                                 ? fmt::format("{} of the defaults' ({})", TextOf(pairs.Ratio()), NameOf(o.start->says))
                                 : o.start->failure;
    out += fmt::format("{:<22}{}: {}\n", "your start", space.TextOf(space.start),
                       pairs.rounds() > 0 || !o.start->failure.empty() ? than : "no time was left to compare it");
  }
  if (o.chosen_full_s.empty()) {
    out += fmt::format("{:<22}no time was left to measure whole answers\n", "answered");
    return out;
  }
  const double seconds = stats::Median(o.chosen_full_s);
  out += fmt::format("{:<22}the last of {} users after {:.1f} s (median of {}; target {:g} s: {})\n", "answered",
                     in.users, seconds, o.chosen_full_s.size(), in.target_s, seconds <= in.target_s ? "met" : "missed");
  if (seconds > in.target_s) {
    // Prompts and answers both cost in proportion; what a deadline refuses is another matter (--slo-seconds).
    out +=
        fmt::format("{:<22}for {:g} s: about {} users at once, or answers of about {} tokens\n", "", in.target_s,
                    std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(in.users) * in.target_s / seconds)),
                    std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(in.tokens) * in.target_s / seconds)));
  }
  return out;
}

std::string Knobs(const Space& space, const Outcome& o) {
  std::string out = "-- knobs\n";
  std::vector<std::string> no_difference;
  for (const KnobResult& result : o.knobs) {
    const Knob& knob = space.knobs[result.knob];
    const bool kept = result.after == result.before;
    const bool chosen = o.chosen.empty() || o.chosen[result.knob] == result.after;
    out += fmt::format("{:<22}{} {}\n", knob.name, knob.variants[result.after].text,
                       kept     ? "kept"
                       : chosen ? "won"
                                : "won here, but was not confirmed");
    bool none = !result.arms.empty();
    for (const ArmResult& arm : result.arms) {
      out += fmt::format("{:<22}{}\n", "", TextOf(knob, arm));
      none &= arm.says == Says::kNoDifference;
    }
    if (none && kept) no_difference.push_back(knob.name);
    if (!kept && !knob.price.empty()) out += fmt::format("{:<22}its price: {}\n", "", knob.price);
  }
  out += fmt::format("{:<22}{}\n", "made no difference",
                     no_difference.empty() ? "none of them" : fmt::format("{}", fmt::join(no_difference, ", ")));
  return out;
}

// Never shortened by us: what users may ask is not ours to say.
std::string Context(const ReportInput& in) {
  const int64_t context = Number(in.optimization, "n_ctx");
  const int64_t kv_tokens = Number(in.optimization, "kv_tokens");
  const auto kv_bytes = static_cast<double>(Number(in.optimization, "kv_bytes"));
  if (context == 0 || kv_tokens == 0) return "";
  const double each_gib = GiB(kv_bytes / static_cast<double>(kv_tokens) * static_cast<double>(context));
  std::string out =
      fmt::format("-- a question: how long must a request be?\n{:<22}{} tokens, prompt and answer together{}\n",
                  "context", context, in.context_given ? ", as you said" : ", the default, kept");
  out += fmt::format("{:<22}{} users with full ones need {:.1f} GiB; the pool has {:.1f}\n", "", in.users,
                     each_gib * static_cast<double>(in.users), GiB(kv_bytes));
  if (!in.context_given) {
    out += fmt::format(
        "{:<22}half of it would need half of that, and longer requests would be refused; it makes nothing\n"
        "{:<22}faster by itself. Say so with --context {} (or more, up to the model's own), or keep it.\n",
        "", "", context / 2);
  }
  return out;
}

}  // namespace

std::string TextOf(const Knob& knob, const ArmResult& arm) {
  std::string text = fmt::format("{}: {}", knob.variants[arm.variant].text, NameOf(arm.says));
  if (arm.pairs.rounds() > 0) text += ", " + TextOf(arm.pairs.Ratio());
  if (!arm.failure.empty()) text += fmt::format(" ({})", arm.failure);
  if (arm.says == Says::kNotTried) text += " (no time for it: more --minutes)";
  return text;
}

std::string GainOf(const Space& space, const Outcome& o) {
  if (!o.confirmation) return fmt::format("none: nothing beat {} beyond noise", space.TextOf(o.reference));
  const Confirmation& c = *o.confirmation;
  if (c.pairs.rounds() == 0) return fmt::format("none: {} could not be confirmed", space.TextOf(o.winner));
  const stats::PairedRatio ratio = c.pairs.Ratio(0.99);
  const std::string figure =
      fmt::format("{} against {}, {:.1f} % sure", TextOf(ratio), space.TextOf(o.reference), ratio.coverage * 100);
  if (c.says == Says::kFaster) return figure;
  return fmt::format("none: {} looked better, but measured again: {}, {}", space.TextOf(o.winner), NameOf(c.says),
                     figure);
}

std::string Report(const Space& space, const Outcome& outcome, const ReportInput& input) {
  std::string out =
      fmt::format("\n== tuned for {} users at once, {} tokens each: {} measurements, {:.0f} of {:.0f} s\n", input.users,
                  input.tokens, outcome.trials, outcome.spent_s, input.bound_s);
  if (outcome.ending != Ending::kDone) {
    return out + Stopped(outcome) + (outcome.knobs.empty() ? "" : Knobs(space, outcome));
  }
  out += Result(space, outcome, input);
  out += Knobs(space, outcome);
  out += Context(input);
  out += "-- not tried\n";
  for (const NotTried& n : space.not_tried) out += fmt::format("{}: {}\n", n.what, n.why);
  return out;
}

namespace {

json::object ToJson(const Pairs& pairs, Says says) {
  json::object out = {{"says", NameOf(says)},
                      {"seconds", json::array(pairs.arm_s.begin(), pairs.arm_s.end())},
                      {"against_seconds", json::array(pairs.best_s.begin(), pairs.best_s.end())}};
  if (pairs.rounds() > 0) {
    const stats::PairedRatio ratio = pairs.Ratio();
    out["ratio"] = {{"median", ratio.median}, {"low", ratio.low}, {"high", ratio.high}, {"coverage", ratio.coverage}};
  }
  return out;
}

}  // namespace

std::vector<json::object> ToJson(const Space& space, const Outcome& o) {
  std::vector<json::object> lines;
  for (const KnobResult& result : o.knobs) {
    const Knob& knob = space.knobs[result.knob];
    json::array arms;
    for (const ArmResult& arm : result.arms) {
      json::object line = ToJson(arm.pairs, arm.says);
      line["variant"] = knob.variants[arm.variant].text;
      line["failure"] = arm.failure;
      arms.push_back(std::move(line));
    }
    lines.push_back({{"kind", "knob"},
                     {"knob", knob.name},
                     {"before", knob.variants[result.before].text},
                     {"after", knob.variants[result.after].text},
                     {"arms", std::move(arms)}});
  }
  if (o.confirmation) {
    json::object line = ToJson(o.confirmation->pairs, o.confirmation->says);
    line["kind"] = "confirmation";
    line["scale"] = o.confirmation->scale;
    lines.push_back(std::move(line));
  }
  if (o.ending != Ending::kDone) return lines;
  json::object settings;
  for (const auto& [key, value] : space.SettingsOf(o.chosen)) settings[key] = value;
  lines.push_back({{"kind", "choice"},
                   {"choice", space.TextOf(o.chosen)},
                   {"settings", std::move(settings)},
                   {"gain", GainOf(space, o)},
                   {"whole_s", json::array(o.chosen_full_s.begin(), o.chosen_full_s.end())},
                   {"spent_s", o.spent_s}});
  return lines;
}

Assignment ChangedSettings(const Space& space, const Candidate& chosen) {
  Assignment changed;
  const Assignment defaults = space.SettingsOf(space.defaults());
  for (const auto& [key, value] : space.SettingsOf(chosen)) {
    if (defaults.at(key) != value) changed[key] = value;
  }
  return changed;
}

}  // namespace tenfold::tune
