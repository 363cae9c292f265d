#include "server/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "chat/chat_ml.h"

namespace tenfold::server {
namespace {

sampling::Params SamplingParams(const api::GenerationOptions& options, uint64_t random_seed) {
  sampling::Params params;
  params.temperature = static_cast<float>(options.temperature);
  // OpenAI allows top_p 0, which can only mean "the likeliest token".
  params.top_p = std::max(static_cast<float>(options.top_p), 1e-9f);
  params.top_k = static_cast<int32_t>(options.top_k);
  params.min_p = static_cast<float>(options.min_p);
  params.seed = options.seed.value_or(random_seed);
  return params;
}

api::Timings ToTimings(const engine::Timings& t, int64_t generated_tokens, int64_t load_us) {
  api::Timings out;
  out.cached_tokens = t.cached_tokens;
  out.prompt_tokens = t.prompt_tokens - t.cached_tokens;
  out.prompt_us = t.prompt_us;
  out.predicted_tokens = generated_tokens;
  out.predicted_us = t.generate_us;
  out.queue_us = t.queued_us;
  out.load_us = load_us;
  return out;
}

}  // namespace

api::Parsed<GenerationBody> ParseBody(api::Shape shape, std::string_view body) {
  GenerationBody out;
  if (shape == api::Shape::kChat) {
    api::Parsed<api::ChatRequest> chat = api::ParseChatRequest(body);
    if (!chat.ok()) return chat.error();
    out.options = std::move(chat->options);
    out.prompt = std::move(chat->messages);
    return out;
  }
  api::Parsed<api::CompletionRequest> completion = api::ParseCompletionRequest(body);
  if (!completion.ok()) return completion.error();
  out.options = std::move(completion->options);
  if (auto* text = std::get_if<std::string>(&completion->prompt)) {
    out.prompt = std::move(*text);
  } else {
    out.prompt = std::move(std::get<std::vector<int32_t>>(completion->prompt));
  }
  return out;
}

api::Parsed<PreparedPrompt> PreparePrompt(const tokenizer::Tokenizer& tokenizer, const GenerationBody& body) {
  PreparedPrompt out;
  if (const auto* messages = std::get_if<std::vector<api::ChatMessage>>(&body.prompt)) {
    std::vector<chat::Message> chat;
    chat.reserve(messages->size());
    for (const api::ChatMessage& message : *messages) chat.push_back({message.role, message.content});
    out.ids = chat::RenderChatMl(tokenizer, chat, /*add_generation_prompt=*/true);
    return out;
  }
  if (const auto* text = std::get_if<std::string>(&body.prompt)) {
    out.ids = tokenizer.Encode(*text, {.add_special = true, .parse_special = true});
  } else {
    out.ids = std::get<std::vector<int32_t>>(body.prompt);
    for (size_t i = 0; i < out.ids.size(); ++i) {
      if (out.ids[i] < tokenizer.vocab_size()) continue;
      return api::InvalidRequest("prompt", fmt::format("'prompt[{}]' is {}, but the vocabulary has {} tokens.", i,
                                                       out.ids[i], tokenizer.vocab_size()));
    }
  }
  if (out.ids.empty()) return api::InvalidRequest("prompt", "'prompt' is empty: it gives no token to continue from.");
  out.at_text_start =
      std::all_of(out.ids.begin(), out.ids.end(), [&](tokenizer::TokenId id) { return tokenizer.IsControl(id); });
  return out;
}

void Generation::Start(Service& service, std::shared_ptr<Exchange> exchange, api::Shape shape) {
  if (service.draining) {
    return service.Answer(*exchange, api::Unavailable("The server is shutting down.", 5));
  }
  if (service.generations.size() >= service.config.max_requests) {
    return service.Answer(*exchange, api::Overloaded("Too many requests are waiting.", service.RetryAfterSeconds()));
  }
  const uint64_t key = ++service.last_key;
  auto generation = std::make_shared<Generation>(service, std::move(exchange), shape, key);
  service.generations.emplace(key, generation);
  generation->Begin();
}

Generation::Generation(Service& service, std::shared_ptr<Exchange> exchange, api::Shape shape, uint64_t key)
    : service_(service), exchange_(std::move(exchange)), shape_(shape), key_(key), ping_(service.loop) {}

void Generation::Begin() {
  exchange_->on_gone = [weak = weak_from_this()] {
    if (const std::shared_ptr<Generation> self = weak.lock()) self->OnGone();
  };
  auto text = std::make_shared<const std::string>(std::move(exchange_->request().body));
  body_bytes_ = text->size();
  const bool posted = service_.Prepare<GenerationBody>(
      body_bytes_, [shape = shape_, text] { return ParseBody(shape, *text); },
      [self = shared_from_this()](api::Parsed<GenerationBody> parsed) { self->OnParsed(std::move(parsed)); });
  if (!posted) Fail(api::Overloaded("Too many requests are being prepared.", service_.RetryAfterSeconds()));
}

void Generation::OnParsed(api::Parsed<GenerationBody> parsed) {
  if (phase_ == Phase::kDone) return;
  if (!parsed.ok()) return Fail(parsed.error());
  body_ = std::make_shared<const GenerationBody>(std::move(*parsed));
  const std::string& model = body_->options.model;
  const std::string& served = service_.config.model.name;
  if (!model.empty() && !served.empty() && model != served) return Fail(api::ModelNotFound(model));
  phase_ = Phase::kHeld;
  held_since_us_ = NowUs();
  const ModelGate::Ticket ticket = service_.gate.Enter(
      body_bytes_, [self = shared_from_this()](api::Parsed<ModelPtr> ready) { self->OnModel(std::move(ready)); });
  if (phase_ == Phase::kHeld) ticket_ = ticket;
}

void Generation::OnModel(api::Parsed<ModelPtr> model) {
  if (phase_ == Phase::kDone) return;
  if (ticket_ != 0) load_us_ = NowUs() - held_since_us_;
  ticket_ = 0;
  if (!model.ok()) return Fail(model.error());
  model_ = *model;
  phase_ = Phase::kPreparing;
  const bool posted = service_.Prepare<PreparedPrompt>(
      body_bytes_, [model = model_, body = body_] { return PreparePrompt(*model->tokenizer, *body); },
      [self = shared_from_this()](api::Parsed<PreparedPrompt> prompt) { self->OnPrompt(std::move(prompt)); });
  if (!posted) Fail(api::Overloaded("Too many requests are being prepared.", service_.RetryAfterSeconds()));
}

void Generation::OnPrompt(api::Parsed<PreparedPrompt> prompt) {
  if (phase_ == Phase::kDone) return;
  if (!prompt.ok()) return Fail(prompt.error());
  const int64_t n_prompt = static_cast<int64_t>(prompt->ids.size());
  const int64_t max_tokens = body_->options.max_tokens;
  const int64_t least = max_tokens < 0 ? 1 : max_tokens;
  if (n_prompt + least > model_->max_context) {
    return Fail(api::ContextExceeded(n_prompt, max_tokens, model_->max_context));
  }
  Submit(std::move(*prompt));
}

void Generation::Submit(PreparedPrompt prompt) {
  const api::GenerationOptions& options = body_->options;
  prompt_tokens_ = static_cast<int64_t>(prompt.ids.size());
  output_.emplace(*model_->tokenizer, options.stop, prompt.at_text_start);
  api::AnswerHead head;
  head.shape = shape_;
  head.id = fmt::format("{}-{:016x}{:016x}", shape_ == api::Shape::kChat ? "chatcmpl" : "cmpl", service_.random(),
                        service_.random());
  head.created_unix_s = static_cast<int64_t>(std::time(nullptr));
  head.model = model_->name;
  head.fingerprint = fmt::format("tenfold-{}", kVersion);
  head.with_logprobs = options.n_top >= 0;
  head.include_usage = options.include_usage;
  head.space_dropped = prompt.at_text_start && model_->tokenizer->adds_space_prefix();
  writer_.emplace(std::move(head));

  engine::Request request;
  request.prompt = std::move(prompt.ids);
  request.max_new_tokens = options.max_tokens;
  request.sampling = SamplingParams(options, service_.random());
  request.ignore_eos = options.ignore_eos;
  request.n_top = options.n_top;
  request.on_token = [&inbox = service_.inbox, key = key_](engine::Token&& token) {
    inbox.Push(TokenEvent{key, std::move(token)});
  };
  request.on_finish = [&inbox = service_.inbox, key = key_](engine::Finish&& finish) {
    inbox.Push(FinishEvent{key, std::move(finish)});
  };
  Result<engine::RequestId> id = service_.engine.Submit(std::move(request));
  if (!id.ok()) return Fail(api::FromError(id.error()));
  phase_ = Phase::kSubmitted;
  request_id_ = *id;
  if (options.stream) RestartPing();
}

void Generation::OnToken(engine::Token&& token) {
  if (phase_ != Phase::kSubmitted || stopped_) return;
  const int64_t now_us = NowUs();
  if (generated_tokens_ == 0) {
    service_.metrics.ObserveFirstToken(now_us - exchange_->request().received_us);
  } else {
    service_.metrics.ObserveInterToken(now_us - last_token_us_);
  }
  last_token_us_ = now_us;
  ++generated_tokens_;
  if (body_->options.n_top >= 0) {
    api::TokenInfo info{token.id, PieceOf(token.id), token.logprob, {}};
    for (const sampling::TokenLogprob& top : token.top)
      info.top.push_back({top.token, PieceOf(top.token), top.logprob});
    pending_.push_back(std::move(info));
  }
  if (body_->options.stream) BeginStream();
  Emit(output_->Push(token.id));
  if (output_->stopped() && phase_ == Phase::kSubmitted) {
    stopped_ = true;
    service_.engine.Cancel(*request_id_);
  }
}

void Generation::OnFinish(engine::Finish&& finish) {
  const std::shared_ptr<Generation> self = shared_from_this();  // Leave drops the service's hold
  if (phase_ == Phase::kDone) {
    service_.metrics.CountCancelled(generated_tokens_ > 0          ? "decode"
                                    : finish.timings.prompt_us > 0 ? "prefill"
                                                                   : "queued");
    LogLine("cancelled", finish.timings);
    return Leave();
  }
  const engine::FinishReason reason = finish.reason;
  if (!stopped_ && reason == engine::FinishReason::kFailed) return Fail(api::FromError(finish.error));
  if (!stopped_ && reason == engine::FinishReason::kCancelled) {
    return Fail(api::Unavailable("The model was unloaded before the answer was complete.", 1));
  }
  EmitFinish(stopped_ || reason == engine::FinishReason::kStop ? "stop" : "length", finish);
}

void Generation::EmitFinish(std::string_view reason, const engine::Finish& finish) {
  const bool stream = body_->options.stream;
  if (stream) BeginStream();
  if (!stopped_) {  // otherwise what is pending is the stop string's own tokens

    Emit(output_->Finish());
    if (!pending_.empty()) {
      if (stream) {
        exchange_->Write(api::SseEvent(writer_->TextChunk("", pending_)));
      } else {
        std::move(pending_.begin(), pending_.end(), std::back_inserter(tokens_));
      }
    }
  }
  const api::Usage usage{prompt_tokens_, generated_tokens_, finish.timings.cached_tokens};
  const api::Timings timings = ToTimings(finish.timings, generated_tokens_, load_us_);
  if (stream) {
    const bool usage_chunk = body_->options.include_usage;
    std::string last = api::SseEvent(writer_->FinishChunk(reason, usage_chunk ? nullptr : &timings));
    if (usage_chunk) last += api::SseEvent(writer_->UsageChunk(usage, timings));
    last += api::kSseDone;
    exchange_->Write(last);
    exchange_->End();
  } else {
    exchange_->Respond(JsonResponse(200, writer_->Whole(text_, tokens_, reason, usage, timings)));
  }
  service_.metrics.ObserveFinished({.finish_reason = reason,
                                    .e2e_us = NowUs() - exchange_->request().received_us,
                                    .queue_us = finish.timings.queued_us,
                                    .prefill_us = finish.timings.prompt_us,
                                    .decode_us = finish.timings.generate_us,
                                    .prompt_tokens = prompt_tokens_,
                                    .cached_tokens = finish.timings.cached_tokens,
                                    .generated_tokens = generated_tokens_});
  LogLine(reason, finish.timings);
  phase_ = Phase::kDone;
  Leave();
}

void Generation::BeginStream() {
  if (exchange_->answered()) return;
  HttpResponse head;
  head.content_type = "text/event-stream";
  head.headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
  exchange_->BeginStream(head);
  if (shape_ == api::Shape::kChat) exchange_->Write(api::SseEvent(writer_->RoleChunk()));
}

void Generation::Emit(std::string_view text) {
  if (text.empty()) return;
  if (body_->options.stream) {
    exchange_->Write(api::SseEvent(writer_->TextChunk(text, pending_)));
    RestartPing();
  } else {
    text_ += text;
    std::move(pending_.begin(), pending_.end(), std::back_inserter(tokens_));
  }
  pending_.clear();
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
    exchange_->Write(api::SseEvent(api::ErrorBody(error)));
    exchange_->End();
  }
  phase_ = Phase::kDone;
  LogLine(error.type, {});
  Leave();
}

void Generation::Abort(const api::ApiError& error) {
  const std::shared_ptr<Generation> self = shared_from_this();
  if (phase_ == Phase::kDone) return;
  if (ticket_ != 0) service_.gate.Leave(ticket_);
  if (request_id_) service_.engine.Cancel(*request_id_);
  Fail(error);
}

void Generation::OnGone() {
  const std::shared_ptr<Generation> self = shared_from_this();
  const Phase phase = std::exchange(phase_, Phase::kDone);
  ping_.Stop();
  if (phase == Phase::kSubmitted) {
    service_.engine.Cancel(*request_id_);  // OnFinish counts it and says how far the work had come
    return;
  }
  if (phase == Phase::kDone) return;
  if (ticket_ != 0) service_.gate.Leave(ticket_);
  service_.metrics.CountCancelled(phase == Phase::kHeld ? "loading" : "preparing");
  LogLine("cancelled", {});
  Leave();
}

void Generation::Leave() {
  ping_.Stop();
  service_.generations.erase(key_);
}

std::string Generation::PieceOf(tokenizer::TokenId id) const { return model_->tokenizer->TokenBytes(id, true); }

void Generation::LogLine(std::string_view outcome, const engine::Timings& t) const {
  const HttpRequest& request = exchange_->request();
  const auto ms = [](int64_t us) { return static_cast<double>(us) / 1000.0; };
  Log(LogLevel::kInfo,
      fmt::format("{} {} {} {} prompt={} cached={} generated={} load={:.1f}ms queue={:.1f}ms prefill={:.1f}ms "
                  "decode={:.1f}ms total={:.1f}ms",
                  request.id, request.path, exchange_->status(), outcome, prompt_tokens_, t.cached_tokens,
                  generated_tokens_, ms(load_us_), ms(t.queued_us), ms(t.prompt_us), ms(t.generate_us),
                  ms(NowUs() - request.received_us)));
}

}  // namespace tenfold::server
