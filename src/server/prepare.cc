#include "server/prepare.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <optional>
#include <string>
#include <utility>

#include "chat/reasoning_parser.h"
#include "chat/tool_format.h"
#include "server/tool_grammar.h"
#include "tokenizer/stream_decoder.h"

namespace tenfold::server {
namespace {

std::string TextOf(const tokenizer::Tokenizer& tokenizer, const std::vector<tokenizer::TokenId>& ids) {
  tokenizer::StreamDecoder decoder(tokenizer, /*render_special=*/true, /*at_text_start=*/true);
  std::string text;
  for (const tokenizer::TokenId id : ids) text += decoder.Push(id);
  return text + decoder.Finish();
}

api::Parsed<PreparedPrompt> PreparePrompt(const tokenizer::Tokenizer& tokenizer, const api::Prompt& prompt,
                                          const std::string& name, bool echo) {
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
  if (echo) {
    out.from_text = std::holds_alternative<std::string>(prompt);
    out.echo = out.from_text ? std::get<std::string>(prompt) : TextOf(tokenizer, out.ids);
  }
  out.at_text_start =
      std::all_of(out.ids.begin(), out.ids.end(), [&](tokenizer::TokenId id) { return tokenizer.IsControl(id); });
  return out;
}

chat::ChatInput ChatInputOf(const api::ChatRequest& request) {
  chat::ChatInput input;
  for (const api::ChatMessage& m : request.messages) {
    chat::Message& out = input.messages.emplace_back(
        chat::Message{m.role, m.content, m.content_is_null, m.reasoning_content, {}, m.tool_call_id, m.name});
    for (const api::ToolCall& call : m.tool_calls) out.tool_calls.push_back({call.id, call.name, call.arguments_json});
  }
  input.tools_json = request.tools_json;
  input.documents_json = request.documents_json;
  input.template_kwargs_json = request.template_kwargs_json;
  input.add_generation_prompt = request.add_generation_prompt;
  input.continue_final_message = request.continue_final_message;
  return input;
}

// What markup the answer may hold: the model writes calls as its template shows them to it.
chat::AnswerSyntax SyntaxOf(const api::ChatRequest& request, const chat::ChatTemplate& chat_template,
                            const std::string& prompt) {
  chat::AnswerSyntax syntax;
  syntax.reasoning = request.separate_reasoning;
  syntax.starts_in_reasoning = syntax.reasoning && chat::OpensReasoning(prompt);
  syntax.show_markup = true;
  if (request.tools_json.empty()) return syntax;
  syntax.tool_format = chat::DetectToolFormat(chat_template.source());
  for (const api::ToolSpec& tool : request.tools.tools) syntax.tools.push_back({tool.name, tool.parameters_json});
  syntax.one_call = !request.tools.parallel || request.tools.choice == api::ToolChoice::kNamed;
  return syntax;
}

// Two grammars for one answer: neither could be kept.
std::optional<api::ApiError> RefuseTwoGrammars(const api::OutputFormat& format) {
  if (format.kind == api::OutputFormat::Kind::kText) return std::nullopt;
  return api::InvalidRequest(
      format.field,
      fmt::format("'{}' cannot be combined with a call that must be made or with strict functions: both say "
                  "how the answer must look.",
                  format.field));
}

// Fills the prompt and the syntax of out, and its grammar where the tools ask for one.
std::optional<api::ApiError> PrepareChat(const ModelPtr& model, const chat::ChatTemplate& chat_template,
                                         const api::OutputFormat& format, const api::ChatRequest& request,
                                         GrammarCache& grammars, Prepared* out) {
  api::Parsed<jinja::MarkedText> text = RenderChat(*model, chat_template, request);
  if (!text.ok()) return text.error();
  PreparedPrompt& prompt = out->prompts.emplace_back();
  prompt.ids = chat::PromptTokens(*model->tokenizer, *text);
  if (prompt.ids.empty()) return api::InvalidRequest("messages", "The chat template makes an empty prompt of this.");
  api::Parsed<GrammarPtr> calls = ToolGrammar(grammars, model,
                                              {.format = chat::DetectToolFormat(chat_template.source()),
                                               .tools = &request.tools,
                                               .in_reasoning = chat::OpensReasoning(text->bytes())});
  if (!calls.ok()) return calls.error();
  out->syntax = SyntaxOf(request, chat_template, text->bytes());
  if (*calls != nullptr) {
    if (auto problem = RefuseTwoGrammars(format)) return problem;
    out->grammar = std::move(*calls);
  } else if (format.kind == api::OutputFormat::Kind::kGrammar) {
    // The request's grammar shapes the answer from its first byte, so that it is reasoning only where it says so.
    out->syntax.starts_in_reasoning = false;
  } else if (format.kind != api::OutputFormat::Kind::kText) {
    out->syntax = {};  // JSON is the answer itself, also where it holds what looks like markup
  }
  return std::nullopt;
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

api::Parsed<jinja::MarkedText> RenderChat(const engine::ModelInfo& model, const chat::ChatTemplate& chat_template,
                                          const api::ChatRequest& request) {
  Result<jinja::MarkedText> text = chat_template.Render(*model.tokenizer, ChatInputOf(request), std::time(nullptr));
  if (text.ok()) return std::move(text).value();
  api::ApiError error = api::FromError(text.error());
  error.param = "messages";
  return error;
}

api::Parsed<Prepared> Prepare(const ModelPtr& model, const chat::ChatTemplate& chat_template,
                              const GenerationBody& body, GrammarCache& grammars) {
  for (const api::LogitBias& bias : body.options.logit_bias) {
    if (bias.token < model->tokenizer->vocab_size()) continue;
    return api::InvalidRequest("logit_bias",
                               fmt::format("'logit_bias' names token {}, but the vocabulary has {} tokens.", bias.token,
                                           model->tokenizer->vocab_size()));
  }
  Prepared out;
  api::Parsed<GrammarPtr> grammar = grammars.Get(model, body.options.format);
  if (!grammar.ok()) return grammar.error();
  out.grammar = std::move(*grammar);
  if (const auto* chat = std::get_if<api::ChatRequest>(&body.input)) {
    const auto problem = PrepareChat(model, chat_template, body.options.format, *chat, grammars, &out);
    if (problem) return *problem;
    return out;
  }
  const auto& prompts = std::get<std::vector<api::Prompt>>(body.input);
  for (size_t i = 0; i < prompts.size(); ++i) {
    const std::string name = prompts.size() == 1 ? "prompt" : fmt::format("prompt[{}]", i);
    api::Parsed<PreparedPrompt> prompt = PreparePrompt(*model->tokenizer, prompts[i], name, body.options.echo);
    if (!prompt.ok()) return prompt.error();
    out.prompts.push_back(std::move(*prompt));
  }
  return out;
}

engine::Request MakeEngineRequest(const api::GenerationOptions& options, const PreparedPrompt& prompt,
                                  const GrammarPtr& grammar, int64_t index, uint64_t seed) {
  engine::Request request;
  request.prompt = prompt.ids;
  request.max_new_tokens = options.max_tokens;
  request.sampling.temperature = static_cast<float>(options.temperature);
  // OpenAI allows top_p 0, which can only mean "the likeliest token".
  request.sampling.top_p = std::max(static_cast<float>(options.top_p), 1e-9f);
  request.sampling.top_k = static_cast<int32_t>(options.top_k);
  request.sampling.min_p = static_cast<float>(options.min_p);
  request.sampling.typical_p = std::max(static_cast<float>(options.typical_p), 1e-9f);
  request.sampling.presence_penalty = static_cast<float>(options.presence_penalty);
  request.sampling.frequency_penalty = static_cast<float>(options.frequency_penalty);
  request.sampling.repeat_penalty = static_cast<float>(options.repeat_penalty);
  request.sampling.repeat_last_n = static_cast<int32_t>(options.repeat_last_n);
  for (const api::LogitBias& bias : options.logit_bias) request.sampling.bias.push_back({bias.token, bias.bias});
  request.sampling.seed = seed + static_cast<uint64_t>(index);
  request.ignore_eos = options.ignore_eos;
  request.cache_prompt = options.cache_prompt;
  request.cache_salt = options.cache_salt;
  request.n_top = options.n_top;
  request.score_prompt = options.echo && options.n_top >= 0;
  request.grammar = grammar;
  return request;
}

}  // namespace tenfold::server
