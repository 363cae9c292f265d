// Scheduler::CheckIntegrity: the invariants of the scheduler, each with a sentence for when it is broken.
#include <fmt/format.h>

#include <map>

#include "sched/scheduler.h"

namespace tenfold::sched {

std::string Scheduler::CheckIntegrity() const {
  if (std::string wrong = pages_.CheckIntegrity(); !wrong.empty()) return wrong;
  if (std::string wrong = waiting_.CheckIntegrity(); !wrong.empty()) return wrong;
  if (running() + waiting() != static_cast<int64_t>(sequences_.size())) {
    return fmt::format("{} running and {} waiting, but {} sequences", running(), waiting(), sequences_.size());
  }
  if (running() > limits_.max_running) return fmt::format("{} running of {}", running(), limits_.max_running);

  std::map<TenantId, uint64_t> last_arrival;  // first those that run, then those that wait
  std::map<TenantId, int64_t> served;
  uint64_t last_admission = 0;
  std::vector<int32_t> listed(pages_.total(), 0);
  const auto visit = [&](const Sequence& s, bool running) -> std::string {
    const auto found = sequences_.find(s.id);
    if (found == sequences_.end() || &found->second != &s) return fmt::format("sequence {} is not owned", s.id);
    if (s.running != running) return fmt::format("sequence {} is in the wrong list", s.id);
    if (s.arrival <= last_arrival[s.tenant]) return fmt::format("sequence {} is out of its order of arrival", s.id);
    last_arrival[s.tenant] = s.arrival;
    for (const kv::PageId page : s.pages) {
      if (page < 0 || page >= pages_.total()) return fmt::format("sequence {} lists page {}", s.id, page);
      ++listed[page];
    }
    return CheckSequence(s);
  };
  for (const Sequence* s : running_) {
    if (s->admission <= last_admission) return fmt::format("sequence {} is out of its order of admission", s->id);
    last_admission = s->admission;
    ++served[s->tenant];
    if (std::string wrong = visit(*s, true); !wrong.empty()) return wrong;
  }
  for (const SeqId seq : waiting_.Order(0)) {
    if (std::string wrong = visit(Find(seq), false); !wrong.empty()) return wrong;
  }
  for (const auto& [tenant, count] : served) {
    if (waiting_.served(tenant) != count) {
      return fmt::format("tenant {:x} has {} running, {} are counted", tenant, count, waiting_.served(tenant));
    }
  }
  for (kv::PageId page = 0; page < pages_.total(); ++page) {
    if (listed[page] != pages_.holders(page)) {
      return fmt::format("page {} is listed {} times but has {} holders", page, listed[page], pages_.holders(page));
    }
  }
  return "";
}

std::string Scheduler::CheckSequence(const Sequence& s) const {
  const auto pages = static_cast<int64_t>(s.pages.size());
  if (s.computed < 0 || s.computed > s.known() || s.known() > s.limit || s.limit > limits_.max_context) {
    return fmt::format("sequence {} has {} computed, {} known, {} at most", s.id, s.computed, s.known(), s.limit);
  }
  if (pages < kv::PagesFor(s.computed) || pages > kv::PagesFor(s.limit)) {
    return fmt::format("sequence {} has {} pages for {} computed tokens of {}", s.id, pages, s.computed, s.limit);
  }
  if (s.published < 0 || s.published * kv::kPageTokens > s.computed) {
    return fmt::format("sequence {} has {} published pages of {} computed tokens", s.id, s.published, s.computed);
  }
  for (int64_t i = 0; i < pages; ++i) {
    const kv::PageId page = s.pages[static_cast<size_t>(i)];
    if (pages_.IsPublished(page) != (i < s.published))
      return fmt::format("sequence {} would write page {}", s.id, page);
    if (i >= s.published && pages_.holders(page) != 1) return fmt::format("page {} is shared before it is full", page);
  }
  if (!s.running && pages != 0) return fmt::format("sequence {} waits with {} pages", s.id, pages);
  return "";
}

}  // namespace tenfold::sched
