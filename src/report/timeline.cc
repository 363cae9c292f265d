// The picture of every request in its time (charts.h). Each run begins at 0 of the axis: in a long test most of the
// time belongs to the other server or to other runs, and the bars would be too short to see.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "report/charts.h"
#include "report/plot.h"
#include "results/figures.h"

namespace tenfold::report {
namespace {

using results::Request;

constexpr size_t kMostRows = 400;  // more are not drawn, and the picture says so

struct Row {
  Request request;
  double begin_s = 0;  // since its run began
};

// In the order of their runs, within a run by when they were asked.
std::vector<Row> RowsOf(const Subject& subject) {
  using Key = std::tuple<int64_t, results::Phase, int64_t>;
  const auto key = [](const Request& r) { return Key(r.round, r.phase, r.users); };
  std::map<Key, double> begins;
  std::vector<Row> rows;
  for (const Request& r : subject.file->requests) {
    if (r.server != subject.server) continue;
    rows.push_back({r, 0});
    const auto [at, first] = begins.emplace(key(r), r.start_s);
    if (!first) at->second = std::min(at->second, r.start_s);
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return std::tuple(a.request.start_s, a.request.user) < std::tuple(b.request.start_s, b.request.user);
  });
  for (Row& row : rows) row.begin_s = row.request.start_s - begins[key(row.request)];
  return rows;
}

// Queued, prefill and decode where the server tells; else until the first token, and after it.
void Draw(const Row& row, double y, double height, Plot& plot) {
  const Request& r = row.request;
  const auto bar = [&](double from_s, double to_s, std::string_view style, std::string_view what) {
    const double x = plot.X(row.begin_s + from_s);
    plot.Box(x, y, plot.X(row.begin_s + to_s) - x, height, style,
             fmt::format("{}: {:.2f} s. {}", what, to_s - from_s, TipOf(r)));
  };
  if (!r.ok() && r.first_token_s <= 0) {
    bar(0, r.waited_s, "failed", "failed");
    if (height > 8) plot.Text(plot.X(row.begin_s + r.waited_s) + 4, y + 8, "failed", "start", "small");
    return;
  }
  const double first_s = r.first_token_s > 0 ? r.first_token_s : r.waited_s;
  if (r.queued_s && r.prefill_s) {
    const double queued_s = std::min(*r.queued_s, first_s);
    bar(0, queued_s, "queued", "queued");
    bar(queued_s, first_s, "prefill", "prefill");
  } else {
    bar(0, first_s, "queued", "until the first token");
  }
  bar(first_s, r.waited_s, r.ok() ? "decode" : "failed", r.ok() ? "decode" : "failed");
}

}  // namespace

std::string Timeline(const Subject& subject) {
  std::vector<Row> rows = RowsOf(subject);
  if (rows.empty()) return "";
  const size_t all = rows.size();
  rows.resize(std::min(kMostRows, all));
  const double row_px = rows.size() > 100 ? 4 : 12;
  Plot plot;
  plot.left = 100;
  plot.height = plot.top + plot.bottom + row_px * static_cast<double>(rows.size());
  plot.x_most = 0;
  for (const Row& row : rows) plot.x_most = std::max(plot.x_most, (row.begin_s + row.request.waited_s) * 1.06);
  plot.x_most = std::max(plot.x_most, 1e-3);
  plot.XAxis(all > rows.size()
                 ? fmt::format("seconds since its run began; the first {} of {} requests", rows.size(), all)
                 : "seconds since its run began");
  std::string last;
  for (size_t i = 0; i < rows.size(); ++i) {
    const Request& r = rows[i].request;
    const double y = plot.top + row_px * static_cast<double>(i) + 1;
    std::string title = results::TitleOf(r.phase, r.users);
    if (r.phase == results::Phase::kUsers || r.phase == results::Phase::kRate)
      title += fmt::format(", run {}", r.round + 1);
    if (title != last) {
      if (i > 0) plot.Line(4, y - 1, plot.width - plot.right, y - 1, "grid");
      plot.Text(plot.left - 6, y + std::max(8.0, row_px - 3), title, "end", "small");
    }
    last = std::move(title);
    Draw(rows[i], y, row_px - (row_px > 8 ? 2 : 1), plot);
  }
  return plot.Svg("Every request: queued, prefill, decode");
}

}  // namespace tenfold::report
