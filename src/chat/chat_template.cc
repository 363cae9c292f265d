#include "chat/chat_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

namespace tenfold::chat {
namespace {
namespace json = boost::json;

// ChatML, the format of most models whose vocabulary has its control tokens.
constexpr std::string_view kChatMl =
    "{% for message in messages %}"
    "{{ '<|im_start|>' ~ message.role ~ '\\n' ~ (message.content or '') ~ '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

// Templates apply tojson to arguments, so they are values where they parse, and the model's own text where not.
json::value ArgumentsOf(const ToolCall& call) {
  boost::system::error_code error;
  json::value parsed = json::parse(call.arguments_json, error);
  if (error || !parsed.is_object()) return json::string(call.arguments_json);
  return parsed;
}

json::object ObjectOf(const Message& message) {
  json::object out;
  out["role"] = message.role;
  if (message.content_is_null) {
    out["content"] = nullptr;
  } else {
    out["content"] = message.content;
  }
  if (!message.reasoning_content.empty()) out["reasoning_content"] = message.reasoning_content;
  if (!message.tool_calls.empty()) {
    json::array& calls = out["tool_calls"].emplace_array();
    for (const ToolCall& call : message.tool_calls) {
      json::object entry;
      if (!call.id.empty()) entry["id"] = call.id;
      entry["type"] = "function";
      entry["function"] = json::object{{"name", call.name}, {"arguments", ArgumentsOf(call)}};
      calls.push_back(std::move(entry));
    }
  }
  if (!message.tool_call_id.empty()) out["tool_call_id"] = message.tool_call_id;
  if (!message.name.empty()) out["name"] = message.name;
  return out;
}

std::string MessagesJson(const std::vector<Message>& messages) {
  json::array out;
  for (const Message& message : messages) out.push_back(ObjectOf(message));
  return json::serialize(out);
}

// What the request adds for the template alone. Names that are given already are refused: one of both would be ignored.
Status AddKwargs(const std::string& kwargs_json, std::vector<jinja::Variable>* variables) {
  if (kwargs_json.empty()) return {};
  boost::system::error_code error;
  const json::value kwargs = json::parse(kwargs_json, error);
  if (error || !kwargs.is_object()) {
    return Error{ErrorCode::kInvalidArgument, "'chat_template_kwargs' must be an object."};
  }
  for (const auto& [key, value] : kwargs.get_object()) {
    std::string name(key.data(), key.size());
    static constexpr std::string_view kGiven[] = {"messages", "tools", "documents", "add_generation_prompt"};
    if (std::find(std::begin(kGiven), std::end(kGiven), name) != std::end(kGiven)) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("'chat_template_kwargs' must not hold '{}': send it as a field of its own.", name)};
    }
    variables->push_back({.name = std::move(name), .json = json::serialize(value)});
  }
  return {};
}

std::string TokenText(const tokenizer::Tokenizer& tokenizer, tokenizer::TokenId id) {
  return id == tokenizer::kNoToken ? "" : tokenizer.TokenBytes(id, /*render_special=*/true);
}

// The prompt up to where the last message's content ends, so that the answer goes on from there.
Result<jinja::MarkedText> CutAfterContent(const jinja::MarkedText& prompt, const Message& last) {
  constexpr std::string_view kSpace = " \t\r\n";
  std::string_view content = last.content;
  // Templates trim; what is left must be there.
  content.remove_prefix(std::min(content.find_first_not_of(kSpace), content.size()));
  if (const size_t end = content.find_last_not_of(kSpace); end != std::string_view::npos) {
    content = content.substr(0, end + 1);
  }
  const size_t at = prompt.bytes().rfind(content);
  if (content.empty() || at == std::string::npos) {
    return Error{ErrorCode::kInvalidArgument,
                 "'continue_final_message': the last message's content is empty, or the template does not show it."};
  }
  return prompt.Slice(0, at + content.size());
}

}  // namespace

ChatTemplate::ChatTemplate(std::string source, const tokenizer::Tokenizer& tokenizer) : source_(std::move(source)) {
  if (source_.empty()) {
    if (!tokenizer.IsControl(tokenizer.Find("<|im_start|>"))) {
      problem_ =
          "The model file has no chat template and its vocabulary no <|im_start|>; start the server with "
          "--chat-template-file FILE, or use /v1/completions.";
      return;
    }
    source_ = kChatMl;
  }
  Result<jinja::Template> parsed = jinja::Template::Parse(source_);
  if (parsed.ok()) {
    template_.emplace(std::move(parsed).value());
  } else {
    problem_ = fmt::format(
        "The model's chat template cannot be used: {}. Start the server with --chat-template-file FILE, or use "
        "/v1/completions.",
        parsed.error().message);
  }
}

Result<jinja::MarkedText> ChatTemplate::Render(const tokenizer::Tokenizer& tokenizer, const ChatInput& input,
                                               int64_t now_unix_s) const {
  if (!template_) return Error{ErrorCode::kUnsupported, problem_};
  if (input.continue_final_message && (input.messages.empty() || input.messages.back().role != "assistant")) {
    return Error{ErrorCode::kInvalidArgument, "'continue_final_message' needs a last message of the assistant."};
  }
  const auto json_or_none = [](const std::string& text) { return text.empty() ? std::string("null") : text; };
  const bool prompts = input.add_generation_prompt && !input.continue_final_message;
  std::vector<jinja::Variable> variables = {
      {.name = "messages", .json = MessagesJson(input.messages)},
      {.name = "tools", .json = json_or_none(input.tools_json)},
      {.name = "documents", .json = json_or_none(input.documents_json)},
      {.name = "add_generation_prompt", .json = prompts ? "true" : "false", .is_data = false},
      {.name = "bos_token", .is_text = true, .text = TokenText(tokenizer, tokenizer.bos()), .is_data = false},
      {.name = "eos_token", .is_text = true, .text = TokenText(tokenizer, tokenizer.eos()), .is_data = false},
  };
  TENFOLD_TRY_STATUS(AddKwargs(input.template_kwargs_json, &variables));
  jinja::RenderResult rendered = template_->Render(variables, now_unix_s);
  if (!rendered.ok) {
    return Error{ErrorCode::kInvalidArgument,
                 rendered.error.raised
                     ? rendered.error.message
                     : fmt::format("The chat template fails on this conversation: {}.", rendered.error.message)};
  }
  if (input.continue_final_message) return CutAfterContent(rendered.text, input.messages.back());
  return std::move(rendered.text);
}

std::vector<tokenizer::TokenId> PromptTokens(const tokenizer::Tokenizer& tokenizer, const jinja::MarkedText& prompt) {
  std::vector<tokenizer::TextRange> data;
  data.reserve(prompt.data().size());
  for (const jinja::ByteRange& range : prompt.data()) data.push_back({range.begin, range.end});
  std::vector<tokenizer::TokenId> ids =
      tokenizer.Encode(prompt.bytes(), {.add_special = false, .parse_special = true, .data = data});
  if (tokenizer.adds_bos() && (ids.empty() || ids[0] != tokenizer.bos())) ids.insert(ids.begin(), tokenizer.bos());
  return ids;
}

}  // namespace tenfold::chat
