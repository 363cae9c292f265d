#include "grammar/state_space.h"

#include <algorithm>

#include "base/check.h"

namespace tenfold::grammar {
namespace {

constexpr size_t kLinearSearch = 24;  // below this many items an agenda is searched from end to end

uint64_t Mix(uint64_t hash, uint64_t value) {
  hash ^= value + 0x9E3779B97F4A7C15ULL + (hash << 6) + (hash >> 2);
  hash *= 0xFF51AFD7ED558CCDULL;
  return hash ^ (hash >> 32);
}

template <class T>
uint64_t HashOf(uint64_t seed, const T& triple) {
  return Mix(Mix(seed, (static_cast<uint64_t>(triple.position) << 32) | triple.count), triple.frame);
}

template <class T>
uint64_t HashOf(const std::vector<T>& triples) {
  uint64_t hash = triples.size();
  for (const T& triple : triples) hash = HashOf(hash, triple);
  return hash;
}

Error TooAmbiguous() {
  return {
      ErrorCode::kResourceExhausted,
      "the grammar is too ambiguous: there are too many ways to read the text so far; make its rules differ earlier"};
}

}  // namespace

void StateSpace::Agenda::Clear() {
  if (items_.size() > kLinearSearch) std::fill(slots_.begin(), slots_.end(), 0);
  items_.clear();
}

void StateSpace::Agenda::Index(size_t item) {
  size_t at = HashOf(0, items_[item]) & (slots_.size() - 1);
  while (slots_[at] != 0) at = (at + 1) & (slots_.size() - 1);
  slots_[at] = static_cast<uint32_t>(item) + 1;
}

void StateSpace::Agenda::Add(const Configuration& c) {
  if (items_.size() <= kLinearSearch) {
    if (std::find(items_.begin(), items_.end(), c) != items_.end()) return;
    items_.push_back(c);
    if (items_.size() > kLinearSearch) {
      for (size_t i = 0; i < items_.size(); ++i) Index(i);
    }
    return;
  }
  for (size_t at = HashOf(0, c) & (slots_.size() - 1); slots_[at] != 0; at = (at + 1) & (slots_.size() - 1)) {
    if (items_[slots_[at] - 1] == c) return;
  }
  items_.push_back(c);
  if (items_.size() * 2 > slots_.size()) {
    slots_.assign(slots_.size() * 2, 0);
    for (size_t i = 0; i + 1 < items_.size(); ++i) Index(i);
  }
  Index(items_.size() - 1);
}

StateSpace::StateSpace(const Automaton& automaton) : automaton_(automaton) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const FrameId root = InternFrame({{kAcceptPosition, 0, 0}});
  TENFOLD_CHECK(root == 0, "the root frame is the first");
  WorkBudget unlimited{INT64_MAX};
  Result<State*> start = Close({{automaton_.rules[automaton_.root].start, 0, root}}, unlimited);
  // The start of a productive rule leads somewhere; one that is too wide to hold starts empty, and fails when asked.
  start_ = start.ok() ? *start : nullptr;
}

StateSpace::~StateSpace() = default;

Result<const Transitions*> StateSpace::Expand(const State* state, WorkBudget& budget) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (const Transitions* there = state->transitions.load(std::memory_order_relaxed)) return there;
  TENFOLD_TRY(std::unique_ptr<Transitions> made, MakeTransitions(*state, budget));
  transitions_.push_back(std::move(made));
  const Transitions* kept = transitions_.back().get();
  memory_bytes_ += sizeof(Transitions) + kept->targets.size() * sizeof(State*);
  const_cast<State*>(state)->transitions.store(kept, std::memory_order_release);
  return kept;
}

const TokenMask* StateSpace::Keep(const State* state, std::unique_ptr<const TokenMask> mask) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (const TokenMask* there = state->mask.load(std::memory_order_relaxed)) return there;
  memory_bytes_ += mask->memory_bytes();
  masks_.push_back(std::move(mask));
  const_cast<State*>(state)->mask.store(masks_.back().get(), std::memory_order_release);
  return masks_.back().get();
}

// The bytes fall into segments between the ends of all edges; within one segment every byte leads to the same place.
Result<std::unique_ptr<Transitions>> StateSpace::MakeTransitions(const State& state, WorkBudget& budget) {
  std::array<bool, 257> begins{};
  begins[0] = true;
  for (const Configuration& c : state.configurations) {
    const Position& p = automaton_.positions[c.position];
    for (uint32_t i = 0; i < p.size; ++i) {
      const ByteEdge& edge = automaton_.edges[p.first + i];
      begins[edge.low] = true;
      begins[edge.high + 1] = true;
    }
  }
  auto out = std::make_unique<Transitions>();
  std::vector<std::vector<Configuration>> kernels;  // of out->targets
  for (int low = 0; low < 256;) {
    int end = low + 1;
    while (end < 256 && !begins[static_cast<size_t>(end)]) ++end;
    std::vector<Configuration> kernel;
    for (const Configuration& c : state.configurations) {
      const Position& p = automaton_.positions[c.position];
      budget.left -= 1 + p.size;
      for (uint32_t i = 0; i < p.size; ++i) {
        const ByteEdge& edge = automaton_.edges[p.first + i];
        const bool follows = edge.low <= low && low <= edge.high && automaton_.positions[edge.target].alive;
        if (follows) kernel.push_back({edge.target, c.count, c.frame});
      }
    }
    const auto same = std::find(kernels.begin(), kernels.end(), kernel);
    const auto index = static_cast<size_t>(same - kernels.begin());
    if (same == kernels.end()) {
      TENFOLD_TRY(State * target, Close(kernel, budget));
      out->targets.push_back(target);
      kernels.push_back(std::move(kernel));
    }
    for (; low < end; ++low) out->class_of[static_cast<size_t>(low)] = static_cast<uint8_t>(index);
  }
  return out;
}

Result<State*> StateSpace::Close(const std::vector<Configuration>& from, WorkBudget& budget) {
  State state;
  agenda_.Clear();
  calls_.clear();
  for (const Configuration& c : from) agenda_.Add(c);
  // First what the consumed byte completed: returns to callers lead upwards only.
  size_t at = 0;
  for (; at < agenda_.size(); ++at) {
    const Configuration c = agenda_[at];
    Follow(c, /*entered=*/false, state);
    if (agenda_.size() > kMaxConfigurations) return TooAmbiguous();
  }
  // Then the rules that are called here, callers before the called: when a rule's turn comes all its callers are known.
  while (!calls_.empty()) {
    auto [rule, links] = std::move(calls_.begin()->second);
    calls_.erase(calls_.begin());
    budget.left -= static_cast<int64_t>(links.size());
    if (links.size() > kMaxConfigurations) return TooAmbiguous();
    const FrameId frame = InternFrame(std::move(links));
    if (frames_[frame].depth > kMaxFrameDepth) continue;
    agenda_.Add({automaton_.rules[rule].start, 0, frame});
    for (; at < agenda_.size(); ++at) {
      const Configuration c = agenda_[at];
      Follow(c, /*entered=*/true, state);
      if (agenda_.size() > kMaxConfigurations) return TooAmbiguous();
    }
  }
  budget.left -= 8 + static_cast<int64_t>(agenda_.size());
  if (budget.left < 0) return TooAmbiguous();
  if (state.configurations.empty() && !state.accepts) return nullptr;
  return Intern(state);
}

// entered: the rule was called at this place of the text. What then reaches its end matched nothing, and the caller has
// already gone on without it.
void StateSpace::Follow(const Configuration& c, bool entered, State& state) {
  const Position& p = automaton_.positions[c.position];
  if (!p.alive) return;
  // What the run calls must not end at the depth limit.
  if (p.plain_run && frames_[c.frame].depth + kMaxCoverDepth + 2 <= kMaxFrameDepth) {
    const bool counted = p.kind == PositionKind::kLoop && p.max != kNoLimit;
    state.plain_run = std::max(state.plain_run, counted ? p.max - c.count : kEndlessRun);
  }
  switch (p.kind) {
    case PositionKind::kBytes:
      state.configurations.push_back(c);
      return;
    case PositionKind::kSplit:
      for (uint32_t i = 0; i < p.size; ++i) agenda_.Add({automaton_.splits[p.first + i], c.count, c.frame});
      return;
    case PositionKind::kCall:
      if (automaton_.rules[p.first].nullable) agenda_.Add({p.next, c.count, c.frame});
      Call(p.first, {p.next, c.count, c.frame});
      return;
    case PositionKind::kLoop: {
      // A body that may match nothing makes up for every repetition that is missing.
      const bool enough = c.count >= p.min || automaton_.rules[p.first].nullable;
      if (enough) agenda_.Add({p.next, 0, c.frame});
      if (p.max != kNoLimit && c.count >= p.max) return;
      const uint32_t count = p.max == kNoLimit ? std::min(c.count + 1, p.min) : c.count + 1;
      Call(p.first, {c.position, count, c.frame});
      return;
    }
    case PositionKind::kEnd:
      if (entered) return;
      for (const Link& link : frames_[c.frame].links) agenda_.Add({link.position, link.count, link.frame});
      return;
    case PositionKind::kAccept:
      state.accepts = true;
      return;
  }
}

void StateSpace::Call(RuleId rule, const Link& link) {
  const CompiledRule& called = automaton_.rules[rule];
  if (!called.productive) return;
  auto& [id, links] = calls_[called.rank];
  id = rule;
  // Where only the end is left to return to, the caller's own callers take its place.
  if (automaton_.positions[link.position].kind == PositionKind::kEnd) {
    const std::vector<Link>& callers = frames_[link.frame].links;
    links.insert(links.end(), callers.begin(), callers.end());
  } else {
    links.push_back(link);
  }
}

FrameId StateSpace::InternFrame(std::vector<Link> links) {
  std::sort(links.begin(), links.end());
  links.erase(std::unique(links.begin(), links.end()), links.end());
  std::vector<FrameId>& candidates = frames_by_hash_[HashOf(links)];
  for (const FrameId id : candidates) {
    if (frames_[id].links == links) return id;
  }
  uint32_t depth = 0;
  for (const Link& link : links) {
    if (link.position != kAcceptPosition) depth = std::max(depth, frames_[link.frame].depth + 1);
  }
  memory_bytes_ += sizeof(Frame) + 64 + links.size() * sizeof(Link);
  const auto id = static_cast<FrameId>(frames_.size());
  frames_.push_back({std::move(links), depth});
  candidates.push_back(id);
  return id;
}

State* StateSpace::Intern(State& made) {
  std::sort(made.configurations.begin(), made.configurations.end());
  State*& first = by_hash_[HashOf(made.configurations) + (made.accepts ? 1 : 0)];
  for (State* state = first; state != nullptr; state = state->same_hash) {
    if (state->accepts == made.accepts && state->configurations == made.configurations) return state;
  }
  State& state = states_.emplace_back();
  state.configurations = std::move(made.configurations);
  state.accepts = made.accepts;
  state.plain_run = made.plain_run;
  state.same_hash = first;
  first = &state;
  memory_bytes_ += sizeof(State) + 64 + state.configurations.size() * sizeof(Configuration);
  return &state;
}

const State* StateSpace::Adopt(StateSpace& from, const State* state) {
  const std::scoped_lock lock(from.mutex_, mutex_);
  // Callers were made before the called, so going up in ids meets every frame after those it returns to.
  std::vector<bool> wanted(from.frames_.size(), false);
  for (const Configuration& c : state->configurations) wanted[c.frame] = true;
  for (size_t id = wanted.size(); id-- > 1;) {
    if (!wanted[id]) continue;
    for (const Link& link : from.frames_[id].links) wanted[link.frame] = true;
  }
  std::vector<FrameId> ours(from.frames_.size(), 0);
  for (size_t id = 1; id < wanted.size(); ++id) {
    if (!wanted[id]) continue;
    std::vector<Link> links = from.frames_[id].links;
    for (Link& link : links) link.frame = ours[link.frame];
    ours[id] = InternFrame(std::move(links));
  }
  State copy;
  copy.configurations = state->configurations;
  for (Configuration& c : copy.configurations) c.frame = ours[c.frame];
  copy.accepts = state->accepts;
  copy.plain_run = state->plain_run;
  return Intern(copy);
}

}  // namespace tenfold::grammar
