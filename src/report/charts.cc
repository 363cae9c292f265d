#include "report/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "report/plot.h"
#include "results/figures.h"

namespace tenfold::report {
namespace {

using results::Figures;
using results::Group;
using results::Phase;
using results::Request;

std::vector<Group> UserGroups(const Subject& subject) {
  std::vector<Group> groups = results::GroupsOf(*subject.file, subject.server);
  std::erase_if(groups, [](const Group& group) { return group.phase != Phase::kUsers; });
  return groups;
}

std::vector<std::string> LabelsOf(const std::vector<Subject>& subjects) {
  std::vector<std::string> labels;
  for (const Subject& subject : subjects) labels.push_back(subject.label);
  return labels;
}

double Counted(const Request& r, double timeout_s) {
  return r.ok() ? r.waited_s : results::CountedSeconds(r, timeout_s);
}

// One slot a user with a bar for each of its requests, run by run.
void Bars(const std::vector<Request>& requests, double timeout_s, Plot& plot) {
  std::map<int64_t, std::vector<Request>> users;
  for (const Request& r : requests) users[r.user].push_back(r);
  const double slot = (plot.width - plot.left - plot.right) / static_cast<double>(users.size());
  double x = plot.left;
  for (const auto& [user, bars] : users) {
    const double bar = slot * 0.8 / static_cast<double>(bars.size());
    for (size_t i = 0; i < bars.size(); ++i) {
      const Request& r = bars[i];
      const double at = x + slot * 0.1 + bar * static_cast<double>(i);
      const double y = plot.Y(Counted(r, timeout_s));
      plot.Box(at, y, std::max(0.8, bar - 1), plot.Y(0) - y, r.ok() ? "s0" : "failed", TipOf(r));
      if (bar >= 18)
        plot.Text(at + bar / 2, y - 4, r.ok() ? fmt::format("{:.1f}", r.waited_s) : "failed", "middle",
                  bar >= 36 ? "tick" : "small");
    }
    if (slot >= 18) plot.Text(x + slot / 2, plot.Y(0) + 16, fmt::format("{}", user + 1));
    x += slot;
  }
}

struct Distribution {
  size_t asked = 0;
  std::vector<double> answered_s;  // ascending
};

Distribution DistributionOf(const Subject& subject) {
  Distribution out;
  const std::vector<Group> groups = UserGroups(subject);
  if (groups.empty()) return out;
  out.asked = groups.back().requests.size();
  for (const Request& r : groups.back().requests) {
    if (r.ok()) out.answered_s.push_back(r.waited_s);
  }
  std::sort(out.answered_s.begin(), out.answered_s.end());
  return out;
}

// A step up for each answer; it stays below 100 % where somebody was not answered.
std::string StepsOf(const Distribution& of, const Plot& plot) {
  std::string points = fmt::format("{:.1f},{:.1f}", plot.X(0), plot.Y(0));
  double share = 0;
  for (const double seconds : of.answered_s) {
    points += fmt::format(" {:.1f},{:.1f}", plot.X(seconds), plot.Y(share));
    share += 100 / static_cast<double>(of.asked);
    points += fmt::format(" {:.1f},{:.1f}", plot.X(seconds), plot.Y(share));
  }
  return points + fmt::format(" {:.1f},{:.1f}", plot.X(plot.x_most), plot.Y(share));
}

void BandAcross(const gate::Rules& rules, Plot& plot) {
  plot.Box(plot.X(rules.fast_s), plot.top, plot.X(rules.target_s) - plot.X(rules.fast_s),
           plot.height - plot.bottom - plot.top, "band", fmt::format("{:g} to {:g} s", rules.fast_s, rules.target_s));
}

struct Pair {
  int64_t users = 0;
  double before_s = 0, after_s = 0;  // mean response
};

std::vector<Pair> PairsOf(const Subject& before, const Subject& after) {
  std::vector<Pair> pairs;
  for (const Group& a : UserGroups(before)) {
    for (const Group& b : UserGroups(after)) {
      if (a.users != b.users) continue;
      pairs.push_back({a.users, results::FiguresOf(a, before.file->plan.timeout_s).response_s.mean,
                       results::FiguresOf(b, after.file->plan.timeout_s).response_s.mean});
    }
  }
  return pairs;
}

}  // namespace

int64_t MostUsers(const Subject& subject) {
  const std::vector<Group> groups = UserGroups(subject);
  return groups.empty() ? 0 : groups.back().users;
}

std::string TipOf(const Request& r) {
  const std::string who = fmt::format("user {}, run {}", r.user + 1, r.round + 1);
  return r.ok()
             ? fmt::format("{}: {:.2f} s, first token {:.2f} s, {} tokens", who, r.waited_s, r.first_token_s, r.tokens)
             : fmt::format("{}: {} after {:.2f} s", who, results::FailureOf(r), r.waited_s);
}

std::string ResponsePerUser(const Subject& subject, const gate::Rules& rules) {
  const std::vector<Group> groups = UserGroups(subject);
  if (groups.empty()) return "";
  const double timeout_s = subject.file->plan.timeout_s;
  const std::vector<Request>& requests = groups.back().requests;
  Plot plot;
  plot.y_most = rules.target_s * 1.2;
  for (const Request& r : requests) plot.y_most = std::max(plot.y_most, Counted(r, timeout_s) * 1.05);
  plot.Box(plot.left, plot.Y(rules.target_s), plot.width - plot.left - plot.right,
           plot.Y(rules.fast_s) - plot.Y(rules.target_s), "band",
           fmt::format("{:g} to {:g} s", rules.fast_s, rules.target_s));
  plot.YAxis("s");
  Bars(requests, timeout_s, plot);
  const size_t runs = results::RoundsOf(groups.back()).size();
  plot.Text(
      (plot.left + plot.width - plot.right) / 2, plot.height - 8,
      fmt::format("user{}; the band is {:g} to {:g} s",
                  runs > 1 ? fmt::format(", one bar for each of {} runs", runs) : "", rules.fast_s, rules.target_s));
  return plot.Svg("Response time per user");
}

std::string LatencyDistribution(const std::vector<Subject>& subjects, const gate::Rules& rules) {
  Plot plot;
  plot.x_most = rules.target_s * 1.2;
  plot.y_most = 100;
  std::vector<Distribution> distributions;
  size_t asked = 0;
  for (const Subject& subject : subjects) {
    distributions.push_back(DistributionOf(subject));
    const Distribution& of = distributions.back();
    asked += of.asked;
    double most_s = of.answered_s.empty() ? 0 : of.answered_s.back();
    if (of.answered_s.size() < of.asked) most_s = std::max(most_s, subject.file->plan.timeout_s);
    plot.x_most = std::max(plot.x_most, most_s * 1.02);
  }
  if (asked == 0) return "";
  plot.Legend(LabelsOf(subjects));
  BandAcross(rules, plot);
  plot.YAxis("% answered");
  plot.XAxis("seconds since asked; a line that ends below 100 % has failures");
  for (size_t i = 0; i < subjects.size(); ++i) {
    if (distributions[i].asked > 0) plot.Curve(StepsOf(distributions[i], plot), i);
  }
  return plot.Svg("Distribution of response times");
}

std::string ThroughputByUsers(const std::vector<Subject>& subjects) {
  Plot plot;
  plot.y_most = 0;
  std::vector<std::vector<std::pair<double, double>>> lines;
  for (const Subject& subject : subjects) {
    lines.emplace_back();
    for (const Group& group : UserGroups(subject)) {
      const Figures f = results::FiguresOf(group, subject.file->plan.timeout_s);
      lines.back().emplace_back(static_cast<double>(group.users), f.total_tokens_per_s);
      plot.x_most = std::max(plot.x_most, static_cast<double>(group.users) * 1.1);
      plot.y_most = std::max(plot.y_most, f.total_tokens_per_s * 1.15);
    }
  }
  if (plot.y_most <= 0) return "";
  plot.Legend(LabelsOf(subjects));
  plot.YAxis("tokens/s");
  plot.XAxis("users at once");
  for (size_t i = 0; i < lines.size(); ++i) {
    std::string points;
    for (const auto& [users, rate] : lines[i]) {
      points += fmt::format("{:.1f},{:.1f} ", plot.X(users), plot.Y(rate));
      plot.out += fmt::format(
          "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" class=\"{}\"><title>{:g} users: {:.1f} "
          "tokens/s</title></circle>\n",
          plot.X(users), plot.Y(rate), ColourOf('s', i), users, rate);
    }
    plot.Curve(points, i);
  }
  return plot.Svg("Tokens a second of all users");
}

std::string BeforeAfter(const Subject& before, const Subject& after, const gate::Rules& rules) {
  constexpr double kRow = 56;
  const std::vector<Pair> pairs = PairsOf(before, after);
  if (pairs.empty()) return "";
  Plot plot;
  plot.left = 90;
  plot.height = plot.top + plot.bottom + kRow * static_cast<double>(pairs.size());
  plot.x_most = rules.target_s * 1.2;
  for (const Pair& pair : pairs) plot.x_most = std::max({plot.x_most, pair.before_s * 1.25, pair.after_s * 1.25});
  plot.Legend({"before: " + before.label, "after: " + after.label});
  BandAcross(rules, plot);
  plot.XAxis("mean response, s (failures count as the timeout)");
  for (size_t i = 0; i < pairs.size(); ++i) {
    const Pair& pair = pairs[i];
    const double y = plot.top + 8 + kRow * static_cast<double>(i);
    plot.Text(plot.left - 8, y + 25, results::TitleOf(Phase::kUsers, pair.users), "end");
    plot.Box(plot.left, y, plot.X(pair.before_s) - plot.left, 18, "s0", before.label);
    plot.Text(plot.X(pair.before_s) + 6, y + 14, fmt::format("{:.2f} s", pair.before_s), "start", "legend");
    plot.Box(plot.left, y + 21, plot.X(pair.after_s) - plot.left, 18, "s1", after.label);
    plot.Text(plot.X(pair.after_s) + 6, y + 35,
              fmt::format("{:.2f} s, {:.2f} of before", pair.after_s, pair.after_s / pair.before_s), "start", "legend");
  }
  return plot.Svg("Before and after");
}

}  // namespace tenfold::report
