#include "gate/capacity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tenfold::gate {
namespace {

struct Point {
  double users = 0;
  double mean_s = 0;  // of the answered
};

void Fit(const std::vector<Point>& points, Capacity& out) {
  out.points = points.size();
  if (points.size() == 1) {
    out.per_user_s = points[0].mean_s / points[0].users;
    return;
  }
  double mean_n = 0, mean_s = 0;
  for (const Point& p : points) {
    mean_n += p.users / static_cast<double>(points.size());
    mean_s += p.mean_s / static_cast<double>(points.size());
  }
  double along = 0, across = 0;
  for (const Point& p : points) {
    along += (p.users - mean_n) * (p.users - mean_n);
    across += (p.users - mean_n) * (p.mean_s - mean_s);
  }
  out.per_user_s = across / along;
  out.fixed_s = mean_s - out.per_user_s * mean_n;
  if (points.size() < 3) return;
  double error = 0;
  for (const Point& p : points)
    error = std::max(error, std::abs(out.fixed_s + out.per_user_s * p.users - p.mean_s) / p.mean_s);
  out.error = error;
}

void FitTokens(const results::Figures& f, const Rules& rules, Capacity& out) {
  if (f.answered == 0 || f.tokens == 0) return;
  out.tokens = static_cast<double>(f.tokens) / static_cast<double>(f.answered);
  const double first_s = f.answered_first_token_s.mean;
  const double rest_s = f.answered_response_s.mean - first_s;
  if (*out.tokens <= 1 || rest_s <= 0) return;  // first tokens were not measured
  const double per_token_s = rest_s / (*out.tokens - 1);
  out.tokens_fit = first_s >= rules.target_s ? 0 : 1 + static_cast<int64_t>((rules.target_s - first_s) / per_token_s);
}

}  // namespace

std::optional<Capacity> CapacityOf(const std::vector<results::Group>& groups, double timeout_s, int64_t cores,
                                   const Rules& rules) {
  Capacity out;
  std::vector<Point> points;
  for (const results::Group& group : groups) {
    const results::Figures f = results::FiguresOf(group, timeout_s);
    if (group.phase != results::Phase::kUsers) continue;
    if (f.answered == 0 || f.success() < rules.least_success - 1e-9) {
      out.left_out.push_back(group.users);
      continue;
    }
    points.push_back({static_cast<double>(group.users), f.answered_response_s.mean});
    if (group.users == rules.users) FitTokens(f, rules, out);
  }
  if (points.empty()) return std::nullopt;
  Fit(points, out);
  out.predicted_s = out.fixed_s + out.per_user_s * static_cast<double>(rules.users);
  // A little is granted to arithmetic: twelve users of one second each fit twelve seconds.
  if (out.per_user_s > 0) {
    out.users =
        std::max<int64_t>(0, static_cast<int64_t>(std::floor((rules.target_s - out.fixed_s) / out.per_user_s + 1e-9)));
  }
  // Whom too few were answered is too many, whatever the times of fewer users promise.
  for (const int64_t users : out.left_out) {
    if (!out.users || *out.users >= users) out.users = users - 1;
  }
  out.cores = cores;
  out.contradicted = out.predicted_s <= rules.target_s &&
                     std::find(out.left_out.begin(), out.left_out.end(), rules.users) != out.left_out.end();
  if (cores > 0 && out.predicted_s > 0 && !out.contradicted) {
    out.cores_needed =
        static_cast<int64_t>(std::ceil(static_cast<double>(cores) * out.predicted_s / rules.target_s - 1e-9));
    out.reference_s = out.predicted_s * static_cast<double>(cores) / static_cast<double>(rules.reference_cores);
  }
  return out;
}

std::vector<std::string> TextOf(const Capacity& c, const Rules& rules) {
  std::vector<std::string> out;
  const std::string error = c.error         ? fmt::format("at most {:.0f} % off where it was measured", *c.error * 100)
                            : c.points == 1 ? std::string("one number of users measured: proportional, error unknown")
                                            : std::string("two numbers of users measured: error unknown");
  out.push_back(fmt::format("model: mean response = {:.2f} s + {:.2f} s a user ({})", c.fixed_s, c.per_user_s, error));
  out.push_back(c.users ? fmt::format("users that fit {} s here: {}", rules.target_s, *c.users)
                        : "the response does not grow with the users measured: how many fit cannot be said");
  for (const int64_t users : c.left_out) {
    out.push_back(fmt::format("left out of the model: {}, of whom too few were answered",
                              results::TitleOf(results::Phase::kUsers, users)));
  }
  if (c.cores_needed) {
    out.push_back(fmt::format("cores for {} users: {} like the {} here, if memory grows along", rules.users,
                              *c.cores_needed, c.cores));
    out.push_back(
        fmt::format("{} users on {} such cores: {:.1f} s", rules.users, rules.reference_cores, *c.reference_s));
  } else if (c.contradicted) {
    out.push_back(fmt::format("{} users should fit by their time and were not answered: it is not the cores they lack",
                              rules.users));
  } else {
    out.push_back("cores of the machine are not known (rule `cores`): how many would be needed cannot be said");
  }
  if (!c.tokens_fit) {
    out.push_back("tokens and first tokens were not measured: which answer length would fit cannot be said");
  } else if (*c.tokens_fit == 0) {
    out.push_back(fmt::format("no answer length fits {} users: the first token alone takes longer than {} s",
                              rules.users, rules.target_s));
  } else {
    out.push_back(
        fmt::format("answers of {} tokens fit {} users ({:.0f} were measured)", *c.tokens_fit, rules.users, *c.tokens));
  }
  return out;
}

}  // namespace tenfold::gate
