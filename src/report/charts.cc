#include "report/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "results/figures.h"

namespace tenfold::report {
namespace {

using results::Figures;
using results::Group;
using results::Phase;
using results::Request;

// A plane with axes: data on the left, pixels on the right.
struct Plot {
  double width = 760, height = 300;
  double left = 60, right = 20, top = 24, bottom = 44;
  double x_most = 1, y_most = 1;  // data from 0 to these
  std::string out{};

  double X(double x) const { return left + x / x_most * (width - left - right); }
  double Y(double y) const { return height - bottom - y / y_most * (height - top - bottom); }

  void Text(double x, double y, const std::string& text, std::string_view anchor = "middle",
            std::string_view style = "tick") {
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" class=\"{}\">{}</text>\n", x, y, anchor,
                       style, Escaped(text));
  }
  void Box(double x, double y, double w, double h, std::string_view style, const std::string& tip = "") {
    out += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" class=\"{}\"><title>{}</title></rect>\n", x,
        y, std::max(0.0, w), std::max(0.0, h), style, Escaped(tip));
  }
  void Line(double x1, double y1, double x2, double y2, std::string_view style) {
    out += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>\n", x1, y1, x2, y2,
                       style);
  }
  std::string Svg(std::string_view label) const {
    return fmt::format("<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">\n{}</svg>\n", width, height,
                       Escaped(std::string(label)), out);
  }
};

// 1, 2 or 5 times a power of ten, so that there are some five steps to `most`.
double StepTo(double most) {
  const double rough = most / 5;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (rough <= factor * power) return factor * power;
  }
  return 10 * power;
}

void YAxis(Plot& plot, const std::string& name) {
  const double step = StepTo(plot.y_most);
  for (double y = 0; y <= plot.y_most * 1.0001; y += step) {
    plot.Line(plot.left, plot.Y(y), plot.width - plot.right, plot.Y(y), "grid");
    plot.Text(plot.left - 6, plot.Y(y) + 4, fmt::format("{:g}", y), "end");
  }
  plot.Text(4, plot.top - 8, name, "start");
}

void XAxis(Plot& plot, const std::string& name) {
  const double step = StepTo(plot.x_most);
  for (double x = 0; x <= plot.x_most * 1.0001; x += step) {
    plot.Line(plot.X(x), plot.top, plot.X(x), plot.height - plot.bottom, "grid");
    plot.Text(plot.X(x), plot.height - plot.bottom + 16, fmt::format("{:g}", x));
  }
  plot.Text((plot.left + plot.width - plot.right) / 2, plot.height - 8, name);
}

std::vector<Group> UserGroups(const Subject& subject) {
  std::vector<Group> groups = results::GroupsOf(*subject.file, subject.server);
  std::erase_if(groups, [](const Group& group) { return group.phase != Phase::kUsers; });
  return groups;
}

double Counted(const Request& r, double timeout_s) {
  return r.ok() ? r.waited_s : results::CountedSeconds(r, timeout_s);
}

std::string TipOf(const Request& r) {
  return r.ok() ? fmt::format("user {}, round {}: {:.2f} s, first token {:.2f} s, {} tokens", r.user + 1, r.round + 1,
                              r.waited_s, r.first_token_s, r.tokens)
                : fmt::format("user {}, round {}: {} after {:.2f} s", r.user + 1, r.round + 1, results::FailureOf(r),
                              r.waited_s);
}

// Names beside the colours of several subjects.
void Legend(Plot& plot, const std::vector<Subject>& subjects) {
  for (size_t i = 0; i < subjects.size(); ++i) {
    const double y = plot.top + 14 + 18 * static_cast<double>(i);
    plot.Box(plot.width - plot.right - 300, y - 9, 12, 10, fmt::format("s{}", i % 6));
    plot.Text(plot.width - plot.right - 282, y, subjects[i].label, "start", "legend");
  }
}

}  // namespace

int64_t MostUsers(const Subject& subject) {
  const std::vector<Group> groups = UserGroups(subject);
  return groups.empty() ? 0 : groups.back().users;
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
  YAxis(plot, "s");
  const double slot = (plot.width - plot.left - plot.right) / static_cast<double>(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    const Request& r = requests[i];
    const double x = plot.left + slot * static_cast<double>(i);
    const double y = plot.Y(Counted(r, timeout_s));
    plot.Box(x + slot * 0.15, y, slot * 0.7, plot.Y(0) - y, r.ok() ? "s0" : "failed", TipOf(r));
    if (requests.size() > 24) continue;
    plot.Text(x + slot / 2, plot.Y(0) + 16, fmt::format("{}", r.user + 1));
    plot.Text(x + slot / 2, y - 4, r.ok() ? fmt::format("{:.1f}", r.waited_s) : "failed");
  }
  plot.Text(
      (plot.left + plot.width - plot.right) / 2, plot.height - 8,
      fmt::format("user ({} requests); the band is {:g} to {:g} s", requests.size(), rules.fast_s, rules.target_s));
  return plot.Svg("Response time per user");
}

std::string LatencyDistribution(const std::vector<Subject>& subjects, const gate::Rules& rules) {
  Plot plot;
  plot.x_most = rules.target_s * 1.2;
  plot.y_most = 100;
  std::vector<std::vector<double>> answered;
  std::vector<double> asked;
  for (const Subject& subject : subjects) {
    const std::vector<Group> groups = UserGroups(subject);
    answered.emplace_back();
    asked.push_back(groups.empty() ? 0 : static_cast<double>(groups.back().requests.size()));
    if (groups.empty()) continue;
    for (const Request& r : groups.back().requests) {
      if (r.ok()) answered.back().push_back(r.waited_s);
      plot.x_most = std::max(plot.x_most, Counted(r, subject.file->plan.timeout_s) * 1.02);
    }
    std::sort(answered.back().begin(), answered.back().end());
  }
  plot.Box(plot.X(rules.fast_s), plot.top, plot.X(rules.target_s) - plot.X(rules.fast_s), plot.Y(0) - plot.top, "band",
           "");
  YAxis(plot, "% answered");
  XAxis(plot, "seconds since asked; a line that ends below 100 % has failures");
  bool any = false;
  for (size_t i = 0; i < subjects.size(); ++i) {
    if (asked[i] == 0) continue;
    any = true;
    std::string points = fmt::format("{:.1f},{:.1f}", plot.X(0), plot.Y(0));
    double share = 0;
    for (const double seconds : answered[i]) {
      points += fmt::format(" {:.1f},{:.1f}", plot.X(seconds), plot.Y(share));
      share += 100 / asked[i];
      points += fmt::format(" {:.1f},{:.1f}", plot.X(seconds), plot.Y(share));
    }
    points += fmt::format(" {:.1f},{:.1f}", plot.X(plot.x_most), plot.Y(share));
    plot.out += fmt::format("<polyline points=\"{}\" class=\"line l{}\"/>\n", points, i % 6);
  }
  Legend(plot, subjects);
  return any ? plot.Svg("Distribution of response times") : "";
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
      plot.y_most = std::max(plot.y_most, f.total_tokens_per_s * 1.25);
    }
  }
  if (plot.y_most <= 0) return "";
  YAxis(plot, "tokens/s");
  XAxis(plot, "users at once");
  for (size_t i = 0; i < lines.size(); ++i) {
    std::string points;
    for (const auto& [users, rate] : lines[i]) {
      points += fmt::format("{:.1f},{:.1f} ", plot.X(users), plot.Y(rate));
      plot.out += fmt::format(
          "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" class=\"s{}\"><title>{:g} users: {:.1f} "
          "tokens/s</title></circle>\n",
          plot.X(users), plot.Y(rate), i % 6, users, rate);
    }
    plot.out += fmt::format("<polyline points=\"{}\" class=\"line l{}\"/>\n", points, i % 6);
  }
  Legend(plot, subjects);
  return plot.Svg("Tokens a second of all users");
}

std::string Timeline(const Subject& subject) {
  constexpr size_t kMostRows = 400;
  std::vector<Request> requests;
  for (const Request& r : subject.file->requests) {
    if (r.server == subject.server) requests.push_back(r);
  }
  if (requests.empty()) return "";
  std::stable_sort(requests.begin(), requests.end(),
                   [](const Request& a, const Request& b) { return a.start_s < b.start_s; });
  const size_t rows = std::min(kMostRows, requests.size());
  const double row_px = rows > 100 ? 4 : 12;
  Plot plot;
  plot.height = plot.top + plot.bottom + row_px * static_cast<double>(rows);
  const double begin_s = requests.front().start_s;
  for (size_t i = 0; i < rows; ++i)
    plot.x_most = std::max(plot.x_most, (requests[i].start_s - begin_s + requests[i].waited_s) * 1.01);
  XAxis(plot, rows < requests.size()
                  ? fmt::format("seconds since the first question; the first {} of {} requests", rows, requests.size())
                  : "seconds since the first question");
  for (size_t i = 0; i < rows; ++i) {
    const Request& r = requests[i];
    const double y = plot.top + row_px * static_cast<double>(i) + 1;
    const auto bar = [&](double from_s, double to_s, std::string_view style, std::string_view what) {
      const double x = plot.X(r.start_s - begin_s + from_s);
      plot.Box(x, y, plot.X(r.start_s - begin_s + to_s) - x, row_px - 2, style,
               fmt::format("{}: {:.2f} s. {}", what, to_s - from_s, TipOf(r)));
    };
    if (row_px > 8) plot.Text(plot.left - 6, y + 9, results::TitleOf(r.phase, r.users), "end", "small");
    const double first_s = r.first_token_s > 0 ? r.first_token_s : r.waited_s;
    if (!r.ok() && r.first_token_s <= 0) {
      bar(0, r.waited_s, "failed", "failed");
      plot.Text(plot.X(r.start_s - begin_s) + 4, y + row_px - 3, "failed", "start", "small");
      continue;
    }
    if (r.queued_s && r.prefill_s) {
      const double queued_s = std::min(*r.queued_s, first_s);
      bar(0, queued_s, "queued", "queued");
      bar(queued_s, first_s, "prefill", "prefill");
    } else {
      bar(0, first_s, "waited", "until the first token");
    }
    bar(first_s, r.waited_s, r.ok() ? "decode" : "failed", r.ok() ? "decode" : "failed");
  }
  return plot.Svg("Every request: queued, prefill, decode");
}

std::string BeforeAfter(const Subject& before, const Subject& after, const gate::Rules& rules) {
  struct Pair {
    int64_t users;
    double before_s, after_s;
  };
  std::vector<Pair> pairs;
  for (const Group& a : UserGroups(before)) {
    for (const Group& b : UserGroups(after)) {
      if (a.users != b.users) continue;
      pairs.push_back({a.users, results::FiguresOf(a, before.file->plan.timeout_s).response_s.mean,
                       results::FiguresOf(b, after.file->plan.timeout_s).response_s.mean});
    }
  }
  if (pairs.empty()) return "";
  Plot plot;
  plot.left = 90;
  plot.height = plot.top + plot.bottom + 56 * static_cast<double>(pairs.size()) + 40;
  plot.top += 40;
  plot.x_most = rules.target_s * 1.2;
  for (const Pair& pair : pairs) plot.x_most = std::max({plot.x_most, pair.before_s * 1.25, pair.after_s * 1.25});
  plot.Box(plot.X(rules.fast_s), plot.top, plot.X(rules.target_s) - plot.X(rules.fast_s),
           plot.height - plot.bottom - plot.top, "band", "");
  XAxis(plot, "mean response, s (failures count as the timeout)");
  for (size_t i = 0; i < pairs.size(); ++i) {
    const Pair& pair = pairs[i];
    const double y = plot.top + 8 + 56 * static_cast<double>(i);
    plot.Text(plot.left - 8, y + 25, results::TitleOf(Phase::kUsers, pair.users), "end");
    plot.Box(plot.left, y, plot.X(pair.before_s) - plot.left, 18, "s0", before.label);
    plot.Text(plot.X(pair.before_s) + 6, y + 14, fmt::format("{:.2f} s", pair.before_s), "start");
    plot.Box(plot.left, y + 21, plot.X(pair.after_s) - plot.left, 18, "s1", after.label);
    plot.Text(plot.X(pair.after_s) + 6, y + 35,
              fmt::format("{:.2f} s, {:.2f} times", pair.after_s, pair.after_s / pair.before_s), "start");
  }
  plot.top = 10;
  plot.right = 440;
  Legend(plot, {before, after});
  return plot.Svg("Before and after");
}

}  // namespace tenfold::report
