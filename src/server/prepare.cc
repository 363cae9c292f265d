#include "server/prepare.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "chat/chat_ml.h"

namespace tenfold::server {
namespace {

api::Parsed<PreparedPrompt> PreparePrompt(const tokenizer::Tokenizer& tokenizer, const api::Prompt& prompt,
                                          const std::string& name) {
  PreparedPrompt out;
  if (const auto* text = std::get_if<std::string>(&prompt)) {
    out.ids = tokenizer.Encode(*text, {.add_special = true, .parse_special = true});
  } else {
    out.ids = std::get<std::vector<int32_t>>(prompt);
    for (size_t i = 0; i < out.ids.size(); ++i) {
      if (out.ids[i] < tokenizer.vocab_size()) continue;
      return api::InvalidRequest("prompt", fmt::format("'{}[{}]' is {}, but the vocabulary has {} tokens.", name, i,
                                                       out.ids[i], tokenizer.vocab_size()));
    }
  }
  if (out.ids.empty()) {
    return api::InvalidRequest("prompt", fmt::format("'{}' is empty: it gives no token to continue from.", name));
  }
  out.at_text_start =
      std::all_of(out.ids.begin(), out.ids.end(), [&](tokenizer::TokenId id) { return tokenizer.IsControl(id); });
  return out;
}

PreparedPrompt PrepareChat(const tokenizer::Tokenizer& tokenizer, const std::vector<api::ChatMessage>& messages) {
  std::vector<chat::Message> chat;
  chat.reserve(messages.size());
  for (const api::ChatMessage& message : messages) chat.push_back({message.role, message.content});
  return {.ids = chat::RenderChatMl(tokenizer, chat, /*add_generation_prompt=*/true), .at_text_start = false};
}

}  // namespace

size_t GenerationBody::prompts() const {
  const auto* prompts = std::get_if<std::vector<api::Prompt>>(&input);
  return prompts == nullptr ? 1 : prompts->size();
}

api::Parsed<GenerationBody> ParseBody(api::Shape shape, std::string_view body) {
  GenerationBody out;
  if (shape == api::Shape::kChat) {
    api::Parsed<api::ChatRequest> chat = api::ParseChatRequest(body);
    if (!chat.ok()) return chat.error();
    out.options = std::move(chat->options);
    out.input = std::move(*chat);
    return out;
  }
  api::Parsed<api::CompletionRequest> completion = api::ParseCompletionRequest(body);
  if (!completion.ok()) return completion.error();
  out.options = std::move(completion->options);
  out.input = std::move(completion->prompts);
  return out;
}

api::Parsed<Prepared> Prepare(const engine::ModelInfo& model, const GenerationBody& body) {
  Prepared out;
  if (const auto* chat = std::get_if<api::ChatRequest>(&body.input)) {
    if (!chat->tools.tools.empty()) {
      return api::NotSupported("tools", "'tools' are not supported yet; leave them out.");
    }
    out.prompts.push_back(PrepareChat(*model.tokenizer, chat->messages));
    out.syntax.reasoning = chat->separate_reasoning;
    out.syntax.show_markup = true;
    return out;
  }
  const auto& prompts = std::get<std::vector<api::Prompt>>(body.input);
  for (size_t i = 0; i < prompts.size(); ++i) {
    const std::string name = prompts.size() == 1 ? "prompt" : fmt::format("prompt[{}]", i);
    api::Parsed<PreparedPrompt> prompt = PreparePrompt(*model.tokenizer, prompts[i], name);
    if (!prompt.ok()) return prompt.error();
    out.prompts.push_back(std::move(*prompt));
  }
  return out;
}

engine::Request MakeEngineRequest(const api::GenerationOptions& options, const PreparedPrompt& prompt, int64_t index,
                                  uint64_t seed) {
  engine::Request request;
  request.prompt = prompt.ids;
  request.max_new_tokens = options.max_tokens;
  request.sampling.temperature = static_cast<float>(options.temperature);
  // OpenAI allows top_p 0, which can only mean "the likeliest token".
  request.sampling.top_p = std::max(static_cast<float>(options.top_p), 1e-9f);
  request.sampling.top_k = static_cast<int32_t>(options.top_k);
  request.sampling.min_p = static_cast<float>(options.min_p);
  request.sampling.seed = seed + static_cast<uint64_t>(index);
  request.ignore_eos = options.ignore_eos;
  request.n_top = options.n_top;
  return request;
}

}  // namespace tenfold::server
