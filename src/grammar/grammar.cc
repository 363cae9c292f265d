#include "grammar/grammar.h"

#include <algorithm>

namespace tenfold::grammar {
namespace {

// In configurations looked at; ten million are about a second. Ordinary grammars spend thousands, once.
constexpr int64_t kFirstWork = 4'000'000;
constexpr int64_t kWorkPerToken = 50'000;

}  // namespace

Grammar::Grammar(Automaton automaton, std::shared_ptr<const Vocabulary> vocabulary, size_t max_space_bytes)
    : automaton_(std::move(automaton)),
      vocabulary_(std::move(vocabulary)),
      max_space_bytes_(max_space_bytes),
      space_(std::make_shared<StateSpace>(automaton_)) {}

Result<std::shared_ptr<const Grammar>> Grammar::Compile(const Syntax& syntax, ExprId root,
                                                        std::shared_ptr<const Vocabulary> vocabulary,
                                                        size_t max_space_bytes) {
  TENFOLD_TRY(Automaton automaton, Automaton::Compile(syntax, root));
  auto grammar = std::make_shared<const Grammar>(std::move(automaton), std::move(vocabulary), max_space_bytes);
  if (grammar->space()->start() == nullptr) {
    return Error{ErrorCode::kInvalidArgument, "the grammar is too ambiguous: it can begin in too many ways"};
  }
  return grammar;
}

std::shared_ptr<StateSpace> Grammar::space() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (space_->memory_bytes() > max_space_bytes_) space_ = std::make_shared<StateSpace>(automaton_);
  return space_;
}

Matcher::Matcher(std::shared_ptr<const Grammar> grammar, std::vector<int32_t> trigger_tokens)
    : grammar_(std::move(grammar)),
      trigger_tokens_(std::move(trigger_tokens)),
      active_(trigger_tokens_.empty()),
      space_(grammar_->space()),
      state_(space_->start()),
      budget_{kFirstWork} {}

void Matcher::MoveToCurrentSpace() {
  std::shared_ptr<StateSpace> current = grammar_->space();
  if (current == space_) return;
  state_ = current->Adopt(*space_, state_);
  space_ = std::move(current);
}

Result<std::span<const uint64_t>> Matcher::Mask() {
  if (!active_) return std::span<const uint64_t>{};
  MoveToCurrentSpace();
  const TokenMask* mask = state_->mask.load(std::memory_order_acquire);
  if (mask == nullptr) {
    auto made = ComputeMask(*space_, state_, grammar_->vocabulary(), budget_);
    if (!made.ok()) return made.error();
    mask = space_->Keep(state_, std::move(*made));
  }
  if (mask->empty()) {
    return Error{ErrorCode::kInvalidArgument, "no token of this model can continue the text as the grammar demands"};
  }
  bits_.resize(grammar_->vocabulary().mask_words());
  mask->Fill(bits_);
  return std::span<const uint64_t>(bits_);
}

Status Matcher::Accept(int32_t token) {
  if (!active_) {
    active_ = std::find(trigger_tokens_.begin(), trigger_tokens_.end(), token) != trigger_tokens_.end();
    return {};
  }
  const Vocabulary& vocabulary = grammar_->vocabulary();
  if (vocabulary.IsEnd(token)) return {};
  budget_.left = std::min(budget_.left + kWorkPerToken, kFirstWork);
  const State* state = state_;
  for (const char byte : vocabulary.bytes(token)) {
    TENFOLD_TRY(state, space_->Next(state, static_cast<uint8_t>(byte), budget_));
    if (state == nullptr) return Error{ErrorCode::kInternal, "a token was drawn that the grammar does not allow"};
  }
  state_ = state;
  return {};
}

bool Matcher::CanEnd() const { return !active_ || state_->accepts; }

bool Matcher::MustEnd() const { return active_ && state_->accepts && state_->configurations.empty(); }

}  // namespace tenfold::grammar
