#include "server/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "server/admission.h"

namespace tenfold::server {
namespace {

constexpr size_t kMostLoggedBytes = 16 << 10;  // of a body, with --log-prompts

api::Timings ToTimings(const engine::Timings& t, int64_t load_us) {
  api::Timings out;
  out.cached_tokens = t.cached_tokens;
  out.prompt_tokens = t.prompt_tokens - t.cached_tokens;
  out.prompt_us = t.prompt_us;
  out.predicted_tokens = t.generated_tokens;
  out.predicted_us = t.generate_us;
  out.queue_us = t.queued_us;
  out.load_us = load_us;
  return out;
}

}  // namespace

void Generation::Start(Service& service, std::shared_ptr<Exchange> exchange, api::Shape shape) {
  if (const auto refusal = RefuseAtArrival(service)) return service.Answer(*exchange, *refusal);
  const uint64_t key = ++service.last_key;
  auto generation = std::make_shared<Generation>(service, std::move(exchange), shape, key);
  service.generations.emplace(key, generation);
  generation->Begin();
}

Generation::Generation(Service& service, std::shared_ptr<Exchange> exchange, api::Shape shape, uint64_t key)
    : service_(service),
      exchange_(std::move(exchange)),
      shape_(shape),
      key_(key),
      ping_(service.loop),
      deadline_(service.loop),
      late_(service.loop) {}

void Generation::Begin() {
  exchange_->on_gone = [weak = weak_from_this()] {
    if (const std::shared_ptr<Generation> self = weak.lock()) self->OnGone();
  };
  if (const int64_t most_us = service_.config.request_us; most_us > 0) {
    deadline_.Start(most_us, [weak = weak_from_this()] {
      if (const std::shared_ptr<Generation> self = weak.lock()) self->OnDeadline();
    });
  }
  auto text = std::make_shared<const std::string>(std::move(exchange_->request().body));
  body_bytes_ = text->size();
  fingerprint_ = Fingerprint(*text);
  if (service_.config.log_prompts) {
    const std::string& id = exchange_->request().id;
    Log(LogLevel::kInfo, "request body", {{"id", id}, {"body", std::string_view(*text).substr(0, kMostLoggedBytes)}});
  }
  const bool posted = service_.Prepare<GenerationBody>(
      body_bytes_, [shape = shape_, text] { return ParseBody(shape, *text); },
      [self = shared_from_this()](api::Parsed<GenerationBody> parsed) { self->OnParsed(std::move(parsed)); });
  if (!posted) Fail(PreparationFull(service_));
}

void Generation::OnParsed(api::Parsed<GenerationBody> parsed) {
  if (phase_ == Phase::kDone) return;
  if (!parsed.ok()) return Fail(parsed.error());
  body_ = std::make_shared<const GenerationBody>(std::move(*parsed));
  const std::string& model = body_->options.model;
  const std::string& served = service_.config.model.name;
  if (!model.empty() && !served.empty() && model != served) return Fail(api::ModelNotFound(model));
  tenant_ = TenantOf(exchange_->request(), body_->options);
  const int64_t received_us = exchange_->request().received_us;
  const auto deadline = DeadlineOf(exchange_->request(), body_->options, service_.config.slo_us);
  if (!deadline.ok()) return Fail(deadline.error());
  deadline_us_ = *deadline;
  if (const auto refusal = RefuseDuringLoad(service_, received_us, deadline_us_)) return Fail(*refusal);
  if (deadline_us_ >= 0) {
    late_.Start(std::max<int64_t>(0, deadline_us_ - NowUs()), [weak = weak_from_this()] {
      if (const std::shared_ptr<Generation> self = weak.lock()) self->OnLate();
    });
  }
  phase_ = Phase::kHeld;
  held_since_us_ = NowUs();
  const ModelGate::Ticket ticket = service_.gate.Enter(
      body_bytes_, [self = shared_from_this()](api::Parsed<ModelPtr> ready) { self->OnModel(std::move(ready)); },
      [this, received_us] { return RefuseDuringLoad(service_, received_us, deadline_us_); });
  if (phase_ == Phase::kHeld) ticket_ = ticket;
}

void Generation::OnModel(api::Parsed<ModelPtr> model) {
  if (phase_ == Phase::kDone) return;
  if (ticket_ != 0) load_us_ = NowUs() - held_since_us_;
  ticket_ = 0;
  if (!model.ok()) return Fail(model.error());
  model_ = *model;
  phase_ = Phase::kPreparing;
  const bool posted = service_.Prepare<Prepared>(
      body_bytes_,
      [model = model_, chat_template = service_.TemplateOf(model_), body = body_, &grammars = service_.grammars] {
        return Prepare(model, *chat_template, *body, grammars);
      },
      [self = shared_from_this()](api::Parsed<Prepared> prepared) { self->OnPrepared(std::move(prepared)); });
  if (!posted) Fail(PreparationFull(service_));
}

void Generation::OnPrepared(api::Parsed<Prepared> prepared) {
  if (phase_ == Phase::kDone) return;
  if (!prepared.ok()) return Fail(prepared.error());
  const int64_t max_tokens = body_->options.max_tokens;
  const int64_t least = max_tokens < 0 ? 1 : max_tokens;
  int64_t longest = 0;
  for (const PreparedPrompt& prompt : prepared->prompts) {
    const int64_t n_prompt = static_cast<int64_t>(prompt.ids.size());
    if (n_prompt + least > model_->max_context) {
      return Fail(api::ContextExceeded(n_prompt, max_tokens, model_->max_context));
    }
    prompt_tokens_ += n_prompt;
    longest = std::max(longest, n_prompt);
  }
  const Demand demand{.choices = prepared->prompts.size() * static_cast<size_t>(body_->options.n),
                      .prompt_tokens = prompt_tokens_,
                      .most_generated = max_tokens < 0 ? model_->max_context - longest : max_tokens,
                      .tenant = tenant_,
                      .fingerprint = fingerprint_,
                      .received_us = exchange_->request().received_us,
                      .deadline_us = deadline_us_};
  engine::Prediction prediction;
  if (const auto refusal = RefuseDemand(service_, demand, &prediction)) return Fail(*refusal);
  predicted_us_ = prediction.done_us;
  if (predicted_us_ >= 0) {
    const int64_t done_us = NowUs() - exchange_->request().received_us + predicted_us_;
    exchange_->AddHeaders({{"x-predicted-ms", std::to_string(done_us / 1000)}});
  }
  service_.choices += demand.choices;
  Submit(std::move(*prepared));
}

api::AnswerHead Generation::Head() {
  api::AnswerHead head;
  head.shape = shape_;
  head.id = fmt::format("{}-{:016x}{:016x}", shape_ == api::Shape::kChat ? "chatcmpl" : "cmpl", service_.random(),
                        service_.random());
  head.created_unix_s = static_cast<int64_t>(std::time(nullptr));
  head.model = model_->name;
  head.fingerprint = fmt::format("tenfold-{}", kVersion);
  head.with_logprobs = body_->options.n_top >= 0;
  head.include_usage = body_->options.include_usage;
  return head;
}

void Generation::Submit(Prepared&& prepared) {
  const api::GenerationOptions& options = body_->options;
  const auto shared = std::make_shared<const Prepared>(std::move(prepared));
  for (const PreparedPrompt& prompt : shared->prompts) {
    for (int64_t i = 0; i < options.n; ++i) {
      choices_.emplace_back(model_, options, std::shared_ptr<const PreparedPrompt>(shared, &prompt), shared->syntax,
                            service_.random());
    }
  }
  writer_.emplace(Head());
  phase_ = Phase::kSubmitted;
  submitted_us_ = NowUs();
  const uint64_t seed = options.seed.value_or(service_.random());
  for (const PreparedPrompt& prompt : shared->prompts) {
    for (int64_t i = 0; i < options.n; ++i) {
      if (Status submitted = SubmitChoice(prompt, shared->grammar, i, seed); !submitted.ok()) {
        return Fail(api::FromError(submitted.error()));
      }
    }
  }
  if (options.stream) RestartPing();
}

Status Generation::SubmitChoice(const PreparedPrompt& prompt, const GrammarPtr& grammar, int64_t index, uint64_t seed) {
  const size_t choice = running_;
  engine::Request request = MakeEngineRequest(body_->options, prompt, grammar, index, seed);
  request.tenant = tenant_;
  request.deadline_us = deadline_us_;
  request.predicted_us = choices_.size() == 1 ? predicted_us_ : -1;
  request.on_prompt = [&inbox = service_.inbox, key = key_, choice](std::vector<engine::Token>&& tokens) {
    inbox.Push(PromptEvent{key, choice, std::move(tokens)});
  };
  request.on_token = [&inbox = service_.inbox, key = key_, choice](engine::Token&& token) {
    inbox.Push(TokenEvent{key, choice, std::move(token)});
  };
  request.on_finish = [&inbox = service_.inbox, key = key_, choice](engine::Finish&& finish) {
    inbox.Push(FinishEvent{key, choice, std::move(finish)});
  };
  Result<engine::RequestId> id = service_.engine.Submit(std::move(request));
  if (!id.ok()) return id.error();
  choices_[choice].request_id = *id;
  ++running_;
  return {};
}

// Log-probabilities wait for the end of an answer that does not stream, those of a prompt for its first token. False:
// they became too many, and the request has failed.
bool Generation::HoldLogprobs(size_t entries) {
  held_logprobs_ += entries;
  const size_t most = service_.config.max_held_logprobs;
  if (held_logprobs_ <= most) return true;
  Fail(
      api::InvalidRequest("logprobs", fmt::format("The log-probabilities are more than the {} that one answer may hold "
                                                  "at once; ask for fewer of them or of 'n', for a lower 'max_tokens', "
                                                  "or for a stream.",
                                                  most)));
  return false;
}

void Generation::OnScores(size_t index, std::vector<engine::Token>&& tokens) {
  const std::shared_ptr<Generation> self = shared_from_this();  // Fail drops the service's hold
  if (phase_ != Phase::kSubmitted) return;
  size_t entries = 0;
  for (const engine::Token& token : tokens) entries += 1 + token.top.size();
  if (HoldLogprobs(entries)) choices_[index].AddScores(std::move(tokens));
}

void Generation::OnToken(size_t index, engine::Token&& token) {
  Choice& choice = choices_[index];
  if (phase_ != Phase::kSubmitted || choice.stopped()) return;
  const int64_t now_us = NowUs();
  if (generated_tokens_ == 0) {
    service_.metrics.ObserveFirstToken(now_us - exchange_->request().received_us);
  } else if (choice.generated_tokens() > 0) {
    service_.metrics.ObserveInterToken(now_us - choice.last_token_us());
  }
  ++generated_tokens_;
  if (body_->options.stream) {
    BeginStream();
  } else if (body_->options.n_top >= 0 && !HoldLogprobs(1 + token.top.size())) {
    return;
  }
  Emit(index, choice.Push(std::move(token)));
  if (choice.stopped() && phase_ == Phase::kSubmitted) service_.engine.Cancel(choice.request_id, true);
}

void Generation::OnFinish(size_t index, const engine::Finish& finish) {
  const std::shared_ptr<Generation> self = shared_from_this();  // Leave drops the service's hold
  Choice& choice = choices_[index];
  --running_;
  const bool whole = choice.stopped() || finish.reason == engine::FinishReason::kStop ||
                     finish.reason == engine::FinishReason::kLength;
  if (phase_ == Phase::kSubmitted && !whole) {
    return Fail(finish.reason == engine::FinishReason::kFailed
                    ? api::FromError(finish.error)
                    : api::Unavailable("The model was unloaded before the answer was complete.", 1));
  }
  std::vector<Choice::Piece> pieces = choice.Finish(finish);
  if (phase_ == Phase::kSubmitted) {
    if (body_->options.stream) BeginStream();
    Emit(index, std::move(pieces));
    EmitFinish(index);
  }
  if (running_ > 0) return;
  const engine::Timings timings = SlowestTimings();
  if (phase_ == Phase::kSubmitted) {
    Observe(timings);
    LogLine(choices_.front().finish_reason(), timings);
  } else {
    service_.metrics.CountCancelled(exchange_->fell_behind() ? "send_buffer"
                                    : generated_tokens_ > 0  ? "decode"
                                    : timings.prompt_us > 0  ? "prefill"
                                                             : "queued");
    LogLine("cancelled", timings);
  }
  phase_ = Phase::kDone;
  Leave();
}

void Generation::EmitFinish(size_t index) {
  const bool last = running_ == 0;
  if (body_->options.stream) {
    const api::Timings timings = ToTimings(SlowestTimings(), load_us_);
    const bool with_timings = last && !body_->options.include_usage;
    exchange_->Write(api::SseEvent(writer_->FinishChunk(static_cast<int64_t>(index), choices_[index].finish_reason(),
                                                        with_timings ? &timings : nullptr)));
  }
  if (last) EmitEnd();
}

void Generation::EmitEnd() {
  const api::Timings timings = ToTimings(SlowestTimings(), load_us_);
  if (body_->options.stream) {
    std::string end;
    if (body_->options.include_usage) end += api::SseEvent(writer_->UsageChunk(Usage(), timings));
    end += api::kSseDone;
    exchange_->Write(end);
    return exchange_->End();
  }
  std::vector<const api::ChoiceAnswer*> answers;
  for (const Choice& choice : choices_) answers.push_back(&choice.answer());
  exchange_->Respond(JsonResponse(200, writer_->Whole(answers, Usage(), timings)));
}

api::Usage Generation::Usage() const {
  api::Usage usage{prompt_tokens_, generated_tokens_, 0};
  // Each prompt counts once: as cached in the first of its choices.
  for (size_t i = 0; i < choices_.size(); i += static_cast<size_t>(body_->options.n)) {
    usage.cached_tokens += choices_[i].timings().cached_tokens;
  }
  return usage;
}

// Of all finished choices together: tokens are summed, times are the longest of any, because choices run side by side.
engine::Timings Generation::SlowestTimings() const {
  engine::Timings out;
  for (const Choice& choice : choices_) {
    if (!choice.finished()) continue;
    const engine::Timings& t = choice.timings();
    out.queued_us = std::max(out.queued_us, t.queued_us);
    out.prompt_us = std::max(out.prompt_us, t.prompt_us);
    out.generate_us = std::max(out.generate_us, t.generate_us);
    out.prompt_tokens += t.prompt_tokens;
    out.cached_tokens += t.cached_tokens;
    out.generated_tokens += choice.generated_tokens();
  }
  return out;
}

void Generation::Observe(const engine::Timings& timings) {
  if (deadline_us_ >= 0) service_.metrics.CountDeadline(true);
  if (predicted_us_ >= 0) service_.metrics.ObservePrediction(predicted_us_, NowUs() - submitted_us_);
  service_.metrics.ObserveFinished({.finish_reason = choices_.front().finish_reason(),
                                    .e2e_us = NowUs() - exchange_->request().received_us,
                                    .queue_us = timings.queued_us,
                                    .prefill_us = timings.prompt_us,
                                    .decode_us = timings.generate_us,
                                    .prompt_tokens = prompt_tokens_,
                                    .generated_tokens = generated_tokens_});
}

void Generation::BeginStream() {
  if (exchange_->answered()) return;
  HttpResponse head;
  head.content_type = "text/event-stream";
  head.headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
  exchange_->BeginStream(head);
  if (shape_ != api::Shape::kChat) return;
  for (size_t i = 0; i < choices_.size(); ++i) {
    exchange_->Write(api::SseEvent(writer_->RoleChunk(static_cast<int64_t>(i))));
  }
}

void Generation::Emit(size_t index, std::vector<Choice::Piece>&& pieces) {
  std::string events;
  for (Choice::Piece& piece : pieces) {
    if (body_->options.stream) {
      events += api::SseEvent(writer_->DeltaChunk(static_cast<int64_t>(index), piece.delta, piece.tokens));
    } else {
      choices_[index].Keep(std::move(piece));
    }
  }
  if (events.empty()) return;
  exchange_->Write(events);
  RestartPing();
}

// The engine has taken the request, so hardly anything can go wrong any more: after a long silence the head may go out
// before the first token, and proxies see that somebody is at home.
void Generation::RestartPing() {
  ping_.Start(service_.config.ping_us, [weak = weak_from_this()] {
    const std::shared_ptr<Generation> self = weak.lock();
    if (!self || self->phase_ != Phase::kSubmitted) return;
    self->BeginStream();
    self->exchange_->Write(api::kSsePing);
    self->RestartPing();
  });
}

void Generation::Fail(const api::ApiError& error) {
  if (!exchange_->answered()) {
    service_.Answer(*exchange_, error);
  } else if (!exchange_->ended()) {
    exchange_->Write(api::SseEvent(api::ErrorBody(WithId(error, *exchange_))));
    exchange_->End();
  }
  if (phase_ == Phase::kSubmitted) {
    if (deadline_us_ >= 0) service_.metrics.CountDeadline(false);
    CancelChoices();
  }
  phase_ = Phase::kDone;
  LogLine(error.type, {});
  Leave();
}

void Generation::OnLate() {
  if (phase_ == Phase::kDone) return;
  if (phase_ != Phase::kSubmitted) service_.metrics.CountDeadline(false);  // else with all that fails then
  const int64_t received_us = exchange_->request().received_us;
  Abort(api::DeadlineMissed(static_cast<double>(deadline_us_ - received_us) * 1e-6));
}

void Generation::CancelChoices() {
  for (const Choice& choice : choices_) {
    if (choice.request_id != 0 && !choice.finished()) service_.engine.Cancel(choice.request_id);
  }
}

void Generation::Abort(const api::ApiError& error) {
  const std::shared_ptr<Generation> self = shared_from_this();
  if (phase_ == Phase::kDone) return;
  if (ticket_ != 0) service_.gate.Leave(ticket_);
  Fail(error);
}

void Generation::OnGone() { Stop(); }

void Generation::OnDeadline() {
  if (phase_ == Phase::kDone) return;
  if (deadline_us_ >= 0) service_.metrics.CountDeadline(false);
  const api::ApiError error =
      api::DeadlineExceeded(service_.config.request_us / 1'000'000, service_.RetryAfterSeconds());
  if (exchange_->answered()) {
    exchange_->Write(api::SseEvent(api::ErrorBody(WithId(error, *exchange_))));
    if (!exchange_->ended()) exchange_->End();
  } else {
    service_.Answer(*exchange_, error);
  }
  Stop();
}

void Generation::Stop() {
  const std::shared_ptr<Generation> self = shared_from_this();
  const Phase phase = std::exchange(phase_, Phase::kDone);
  ping_.Stop();
  deadline_.Stop();
  late_.Stop();
  if (phase == Phase::kSubmitted) {
    return CancelChoices();  // OnFinish counts it and says how far the work had come
  }
  if (phase == Phase::kDone) return;
  if (ticket_ != 0) service_.gate.Leave(ticket_);
  service_.metrics.CountCancelled(phase == Phase::kHeld ? "loading" : "preparing");
  LogLine("cancelled", {});
  Leave();
}

void Generation::AddSlots(std::vector<SlotState>* out) const {
  for (const Choice& choice : choices_) {
    if (choice.request_id == 0 || choice.finished()) continue;
    out->push_back({.task = choice.request_id,
                    .prompt_tokens = choice.prompt_tokens(),
                    .generated_tokens = choice.generated_tokens(),
                    .cached_tokens = choice.cached_tokens(),
                    .most_tokens = body_->options.max_tokens});
  }
}

void Generation::Leave() {
  ping_.Stop();
  deadline_.Stop();
  late_.Stop();
  service_.choices -= choices_.size();
  service_.generations.erase(key_);
}

void Generation::LogLine(std::string_view outcome, const engine::Timings& t) const {
  const HttpRequest& request = exchange_->request();
  const auto ms = [](int64_t us) { return static_cast<double>(us) / 1000.0; };
  const double decode_s = static_cast<double>(t.generate_us) * 1e-6;
  // The first token of each choice is the prefill's work.
  const double later_tokens = static_cast<double>(generated_tokens_ - static_cast<int64_t>(choices_.size()));
  exchange_->set_logged();
  Log(LogLevel::kInfo, "request",
      {{"id", request.id},
       {"key", request.key_name.empty() ? "none" : std::string_view(request.key_name)},
       {"route", request.path},
       {"status", int64_t{exchange_->status()}},
       {"finish", outcome},
       {"prompt_tokens", prompt_tokens_},
       {"cached_tokens", t.cached_tokens},
       {"generated_tokens", generated_tokens_},
       {"load_ms", ms(load_us_)},
       {"queue_ms", ms(t.queued_us)},
       {"prefill_ms", ms(t.prompt_us)},
       {"decode_ms", ms(t.generate_us)},
       {"total_ms", ms(NowUs() - request.received_us)},
       {"tokens_per_s", decode_s > 0 && later_tokens > 0 ? later_tokens / decode_s : 0.0}});
}

}  // namespace tenfold::server
