#include "apps/load_display.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "results/figures.h"

namespace tenfold::apps {
namespace {

bool shown = false;

std::string Bar(int64_t done, int64_t all) {
  constexpr int64_t kCells = 20;
  const auto full = static_cast<size_t>(all == 0 ? 0 : done * kCells / all);
  return std::string(full, '#') + std::string(kCells - full, '.');
}

}  // namespace

void ShowLoadProgress(const load::Progress& p, int64_t rounds, size_t servers) {
  if (isatty(STDERR_FILENO) == 0) return;
  std::string line = fmt::format("[{}] {}", Bar(p.finished, p.asked), results::TitleOf(p.phase, p.users));
  if (servers > 1) line += fmt::format(", server {}", p.server + 1);
  if (rounds > 1 && (p.phase == results::Phase::kUsers || p.phase == results::Phase::kRate)) {
    line += fmt::format(", round {} of {}", p.round + 1, rounds);
  }
  line += fmt::format(": {} of {} ended", p.finished, p.asked);
  if (p.failed > 0) line += fmt::format(", {} failed", p.failed);
  line += fmt::format(", {} pieces of text under way, {:.1f} s", p.text_events, p.seconds);
  fmt::print(stderr, "\r{}\x1b[K", line);
  std::fflush(stderr);
  shown = true;
}

void EndLoadProgress() {
  if (!shown) return;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
  shown = false;
}

}  // namespace tenfold::apps
