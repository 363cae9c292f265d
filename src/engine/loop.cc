#include "engine/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <random>
#include <utility>

#include "base/check.h"
#include "base/clock.h"

namespace tenfold::engine {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();  // the logit of what must not be drawn

sched::Limits SchedulerLimits(const Options& options, const LoadedModel& loaded) {
  return {.max_running = options.max_running,
          .max_step_tokens = options.max_step_tokens,
          .max_context = loaded.info->max_context,
          .prefix_cache = options.prefix_cache,
          .key_seed = (uint64_t{std::random_device{}()} << 32) | std::random_device{}()};
}

// A grammar that proved too ambiguous stays so: the request is at fault, and asking again would not help.
Error GrammarError(const Error& error) {
  if (error.code != ErrorCode::kResourceExhausted) return error;
  return {ErrorCode::kInvalidArgument, error.message};
}

}  // namespace

Loop::Loop(const Options& options, LoadedModel loaded, platform::ThreadPool& pool, AdmissionDesk& desk)
    : loaded_(std::move(loaded)),
      pool_(pool),
      scheduler_(SchedulerLimits(options, loaded_), loaded_.kv_pages),
      desk_(desk) {
  desk_.Open({.max_running = options.max_running, .max_step_tokens = options.max_step_tokens});
}

void Loop::Add(RequestId id, Request request, int64_t submitted_us) {
  last_taken_ = id;
  Sequence s{.request = std::move(request), .tokens = {}, .sampler = sampling::Sampler({})};
  s.tokens = std::move(s.request.prompt);
  s.prompt_tokens = static_cast<int64_t>(s.tokens.size());
  const int64_t room = loaded_.info->max_context - s.prompt_tokens;
  s.max_new_tokens = s.request.max_new_tokens < 0 ? room : s.request.max_new_tokens;
  if (s.request.ignore_eos && s.request.n_top >= 0) {
    // As biases, which change what is drawn and not the log-probabilities that are told of it. They cost two copies of
    // the logits, so where nothing is told the logits themselves are changed.
    for (const tokenizer::TokenId end : loaded_.end_tokens) s.request.sampling.bias.push_back({end, kNever});
  }
  s.sampler = sampling::Sampler(s.request.sampling);
  if (s.request.grammar) s.matcher.emplace(s.request.grammar, s.request.grammar_triggers);
  s.submitted_us = submitted_us;
  const int64_t prompt_tokens = s.prompt_tokens;
  const int64_t max_new_tokens = s.max_new_tokens;
  if (max_new_tokens == 0 && !s.request.score_prompt) {  // nothing that anybody would learn of
    Finish finish{.reason = FinishReason::kLength, .error = {}, .timings = {}};
    finish.timings.prompt_tokens = prompt_tokens;
    return s.request.on_finish(std::move(finish));
  }
  const auto it = sequences_.emplace(id, std::move(s)).first;
  const Request& added = it->second.request;
  if (scheduler_.Add(id, {.prompt = it->second.tokens,
                          .max_new_tokens = max_new_tokens,
                          .scores_prompt = added.score_prompt,
                          .uses_cache = added.cache_prompt,
                          .cache_salt = added.cache_salt,
                          .tenant = added.tenant,
                          .keeps_place = added.deadline_us >= 0}) == sched::Admission::kNeverFits) {
    Finish finish{.reason = FinishReason::kFailed,
                  .error = {ErrorCode::kInvalidArgument,  // for good: asking again would not help
                            fmt::format("the request needs {} tokens of KV memory, more than the whole pool holds",
                                        prompt_tokens + max_new_tokens)},
                  .timings = {}};
    const auto on_finish = std::move(it->second.request.on_finish);
    sequences_.erase(it);
    on_finish(std::move(finish));
  }
}

void Loop::Cancel(RequestId id, bool complete) {
  const auto it = sequences_.find(id);
  if (it != sequences_.end()) FinishOne(it, FinishReason::kCancelled, {}, complete);
}

void Loop::FinishAll(FinishReason reason, const Error& error) {
  while (!sequences_.empty()) FinishOne(sequences_.begin(), reason, error, false);
}

void Loop::FinishOne(std::map<sched::SeqId, Sequence>::iterator it, FinishReason reason, Error error, bool complete) {
  Sequence sequence = std::move(it->second);
  scheduler_.Remove(it->first);
  sequences_.erase(it);
  const int64_t now = NowUs();
  const int64_t planned = sequence.first_planned_us < 0 ? now : sequence.first_planned_us;
  const int64_t first = sequence.first_token_us < 0 ? now : sequence.first_token_us;
  Finish finish{.reason = reason, .error = std::move(error), .timings = {}};
  finish.timings.queued_us = planned - sequence.submitted_us;
  finish.timings.prompt_us = first - planned;
  finish.timings.generate_us = sequence.last_token_us < 0 ? 0 : sequence.last_token_us - first;
  finish.timings.prompt_tokens = sequence.prompt_tokens;
  finish.timings.cached_tokens = sequence.cached_tokens;
  finish.timings.generated_tokens = static_cast<int64_t>(sequence.tokens.size()) - sequence.prompt_tokens;
  const Request& request = sequence.request;
  const int64_t actual_us = now - sequence.submitted_us;
  const bool whole = reason == FinishReason::kCancelled ? complete : reason != FinishReason::kFailed;
  if (whole) {
    desk_.Ended({.predicted_us = request.predicted_us,
                 .actual_us = actual_us,
                 .prompt_tokens = sequence.prompt_tokens,
                 .cached_tokens = sequence.cached_tokens,
                 .generated = sequence.max_new_tokens == 0 ? 0 : finish.timings.generated_tokens,
                 .cut = reason == FinishReason::kLength});
  } else if (reason == FinishReason::kCancelled && request.deadline_us >= 0 && now >= request.deadline_us) {
    // Late: how late it would have been nobody will know, but not that the prediction was too short.
    desk_.Ended({.predicted_us = request.predicted_us, .actual_us = std::max(actual_us, request.predicted_us)});
  }
  sequence.request.on_finish(std::move(finish));
}

AdmissionDesk::Entry Loop::EntryOf(sched::SeqId seq) const {
  const Sequence& s = sequences_.at(seq);
  const sched::SequenceView view = scheduler_.View(seq);
  return {.id = seq,
          .tenant = s.request.tenant,
          .computed = view.computed_tokens,
          .known = view.known_tokens,
          .generated = view.known_tokens - s.prompt_tokens,
          .limit = s.max_new_tokens,
          .deadline_us = s.request.deadline_us};
}

void Loop::PublishBacklog() {
  std::vector<AdmissionDesk::Entry> running;
  std::vector<AdmissionDesk::Entry> waiting;
  for (const sched::SeqId seq : scheduler_.Running()) running.push_back(EntryOf(seq));
  for (const sched::SeqId seq : scheduler_.Waiting().Waiting()) waiting.push_back(EntryOf(seq));
  desk_.Publish(std::move(running), std::move(waiting), scheduler_.Waiting(), scheduler_.cost_model(), last_taken_);
}

void Loop::Forward(const sched::StepPlan& plan) {
  rows_.clear();
  wanted_.clear();
  for (const sched::PlanRow& row : plan.rows) {
    const Sequence& sequence = sequences_.at(row.seq);
    const std::span<const tokenizer::TokenId> tokens(sequence.tokens);
    rows_.push_back({.tokens = tokens.subspan(static_cast<size_t>(row.first_position), static_cast<size_t>(row.count)),
                     .first_position = row.first_position,
                     .logits_from = row.logits_from,
                     .page_ids = scheduler_.View(row.seq).pages});
    for (int64_t p = row.logits_from; p < row.first_position + row.count; ++p) wanted_.push_back({row.seq, p});
  }
  loaded_.model->Forward(rows_);
  TENFOLD_CHECK(loaded_.model->logit_rows() == static_cast<int64_t>(wanted_.size()),
                "one logits row per wanted position");
}

// Any compute worker. A row behind which the prompt goes on scores the prompt's next token; the last one draws.
Result<sampling::Sample> Loop::Evaluate(int64_t logits_row) {
  const LogitsRow& row = wanted_[static_cast<size_t>(logits_row)];
  Sequence& sequence = sequences_.find(row.seq)->second;
  // Rows of the output matrix beyond the tokenizer's vocabulary are padding: there is no text for them.
  const std::span<float> logits =
      loaded_.model->Logits(logits_row).first(static_cast<size_t>(loaded_.info->vocab_size));
  const auto next = static_cast<size_t>(row.position) + 1;
  if (next < sequence.tokens.size()) return sampling::Score(logits, sequence.tokens[next], sequence.request.n_top);
  if (sequence.max_new_tokens == 0) return sampling::Sample{};
  if (sequence.request.ignore_eos && sequence.request.n_top < 0) {
    for (const tokenizer::TokenId id : loaded_.end_tokens) logits[static_cast<size_t>(id)] = kNever;
  }
  return DrawOne(sequence, logits);
}

Result<sampling::Sample> Loop::DrawOne(Sequence& sequence, std::span<const float> logits) {
  const sampling::History history{sequence.tokens, sequence.prompt_tokens};
  if (!sequence.matcher) return sequence.sampler.Draw(logits, sequence.request.n_top, history);
  const Result<std::span<const uint64_t>> mask = sequence.matcher->Mask();
  if (!mask.ok()) return GrammarError(mask.error());
  TENFOLD_TRY(sampling::Sample sample, sequence.sampler.Draw(logits, sequence.request.n_top, history, *mask));
  if (const Status accepted = sequence.matcher->Accept(sample.token); !accepted.ok()) {
    return GrammarError(accepted.error());
  }
  return sample;
}

void Loop::EmitAll(std::vector<Result<sampling::Sample>>& samples, LoopCounters& counters, int64_t now_us) {
  for (size_t i = 0; i < wanted_.size(); ++i) {
    const auto it = sequences_.find(wanted_[i].seq);
    if (it == sequences_.end()) continue;  // an earlier row of it failed
    const auto next = static_cast<size_t>(wanted_[i].position) + 1;
    if (next < it->second.tokens.size()) {
      EmitScore(it->first, std::move(samples[i]), i + 1 == wanted_.size() || wanted_[i + 1].seq != it->first);
      continue;
    }
    if (!it->second.scored.empty()) it->second.request.on_prompt(std::exchange(it->second.scored, {}));
    if (it->second.max_new_tokens == 0) {
      FinishOne(it, FinishReason::kLength, {});
      continue;
    }
    if (samples[i].ok()) counters.generated_tokens += 1;
    Emit(it->first, std::move(samples[i]), now_us);
  }
}

void Loop::EmitScore(sched::SeqId seq, Result<sampling::Sample> sample, bool last) {
  const auto it = sequences_.find(seq);
  if (!sample.ok()) return FinishOne(it, FinishReason::kFailed, std::move(sample).error());
  Sequence& sequence = it->second;
  sequence.scored.push_back(
      {.id = sample->token, .logprob = sample->logprob, .top = std::move(sample->top), .cached_tokens = 0});
  if (last) sequence.request.on_prompt(std::exchange(sequence.scored, {}));
}

void Loop::Emit(sched::SeqId seq, Result<sampling::Sample> sample, int64_t now_us) {
  const auto it = sequences_.find(seq);
  TENFOLD_CHECK(it != sequences_.end(), "a sequence ended between its draw and its token");
  if (!sample.ok()) {
    FinishOne(it, FinishReason::kFailed, std::move(sample).error());
    return;
  }
  Sequence& sequence = it->second;
  if (sequence.first_token_us < 0) sequence.first_token_us = now_us;
  sequence.last_token_us = now_us;
  const bool is_end =
      std::find(loaded_.end_tokens.begin(), loaded_.end_tokens.end(), sample->token) != loaded_.end_tokens.end();
  if (is_end) {
    FinishOne(it, FinishReason::kStop, {});
    return;
  }
  sequence.tokens.push_back(sample->token);
  const int64_t generated = static_cast<int64_t>(sequence.tokens.size()) - sequence.prompt_tokens;
  sequence.request.on_token({.id = sample->token,
                             .logprob = sample->logprob,
                             .top = std::move(sample->top),
                             .cached_tokens = sequence.cached_tokens});
  if (sequence.matcher && sequence.matcher->MustEnd()) {
    FinishOne(it, FinishReason::kStop, {});
  } else if (generated >= sequence.max_new_tokens) {
    FinishOne(it, FinishReason::kLength, {});
  } else {
    scheduler_.AppendToken(seq, sequence.tokens.back());
  }
}

void Loop::Account(const sched::StepPlan& plan, const StepStats& stats, LoopCounters& counters) {
  int64_t prompt_tokens = 0;
  for (const sched::PlanRow& row : plan.rows) {
    Sequence& sequence = sequences_.at(row.seq);
    const int64_t end = std::min(row.first_position + row.count, sequence.prompt_tokens);
    if (end <= sequence.prompt_counted) continue;
    // What lies between the last position counted and this row's first was found in the cache.
    const int64_t cached = std::max<int64_t>(0, row.first_position - sequence.prompt_counted);
    prompt_tokens += end - sequence.prompt_counted - cached;
    sequence.cached_tokens += cached;
    counters.cached_tokens += static_cast<uint64_t>(cached);
    sequence.prompt_counted = end;
  }
  // A mixed step's time is shared out by tokens: the cost of a token hardly depends on whose it is.
  const double seconds = static_cast<double>(stats.duration_us) * 1e-6;
  const double prompt_share = std::min(1.0, static_cast<double>(prompt_tokens) / static_cast<double>(stats.tokens));
  counters.steps += 1;
  counters.prompt_tokens += static_cast<uint64_t>(prompt_tokens);
  counters.busy_slots += static_cast<uint64_t>(stats.sequences);
  counters.preemptions += plan.preempted.size();
  counters.prompt_seconds += seconds * prompt_share;
  counters.generate_seconds += seconds * (1.0 - prompt_share);
}

StepStats Loop::RunStep(LoopCounters& counters) {
  const int64_t begin_us = NowUs();
  const uint64_t evictions_before = scheduler_.pages().evictions();
  const sched::StepPlan plan = scheduler_.Plan();
  counters.evictions += scheduler_.pages().evictions() - evictions_before;
  TENFOLD_CHECK(!plan.rows.empty(), "the scheduler must always make progress");
  for (const sched::PlanRow& row : plan.rows) {
    Sequence& sequence = sequences_.at(row.seq);
    if (sequence.first_planned_us < 0) sequence.first_planned_us = begin_us;
  }
  Forward(plan);
  scheduler_.Commit(plan);
  std::vector<Result<sampling::Sample>> samples(wanted_.size(), Error{});
  pool_.ParallelFor(static_cast<int64_t>(wanted_.size()),
                    [&](int64_t i, int) { samples[static_cast<size_t>(i)] = Evaluate(i); });

  const int64_t now_us = NowUs();
  const StepStats stats{
      .tokens = plan.tokens, .sequences = static_cast<int64_t>(plan.rows.size()), .duration_us = now_us - begin_us};
  scheduler_.Observe(plan, static_cast<double>(stats.duration_us) * 1e-3);
  Account(plan, stats, counters);
  EmitAll(samples, counters, now_us);
  PublishBacklog();
  return stats;
}

std::string Loop::CheckIntegrity() const {
  if (static_cast<int64_t>(sequences_.size()) != scheduler_.running() + scheduler_.waiting()) {
    return "the loop and the scheduler hold different numbers of sequences";
  }
  return scheduler_.CheckIntegrity();
}

}  // namespace tenfold::engine
