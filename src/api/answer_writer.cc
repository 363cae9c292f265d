#include "api/answer_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "api/text_request.h"

namespace tenfold::api {
namespace {

// JSON has no minus infinity; OpenAI writes this for "as good as impossible".
constexpr double kLeastLogprob = -9999.0;

double Finite(float logprob) { return logprob > kLeastLogprob ? static_cast<double>(logprob) : kLeastLogprob; }

// Shortest decimal that reads back as the same float: 0.1f is "0.1", not "0.10000000149".
void WriteFloat(JsonWriter& w, float logprob) {
  const double finite = Finite(logprob);
  w.Raw(finite == kLeastLogprob ? fmt::format("{}", finite) : fmt::format("{}", logprob));
}

void WriteLogprob(JsonWriter& w, const TokenInfo& token) {
  if (token.follows_nothing) {
    w.Null();
  } else {
    WriteFloat(w, token.logprob);
  }
}

// The key of a token in the legacy objects: its text, or, where that is no text, OpenAI's "bytes:\xe2\x80".
std::string LegacyName(const std::string& bytes) {
  if (IsUtf8(bytes)) return bytes;
  std::string name = "bytes:";
  for (unsigned char byte : bytes) fmt::format_to(std::back_inserter(name), "\\x{:02x}", byte);
  return name;
}

void WriteBytes(JsonWriter& w, const std::string& bytes) {
  w.Key("bytes").BeginArray();
  for (unsigned char byte : bytes) w.Int(byte);
  w.EndArray();
}

void WriteContent(JsonWriter& w, const std::vector<TokenInfo>& tokens) {
  w.Key("content").BeginArray();
  for (const TokenInfo& token : tokens) {
    w.BeginObject().Key("id").Int(token.id).Key("token").String(token.bytes);
    WriteBytes(w, token.bytes);
    w.Key("logprob");
    WriteLogprob(w, token);
    w.Key("top_logprobs").BeginArray();
    for (const Alternative& other : token.top) {
      w.BeginObject().Key("id").Int(other.id).Key("token").String(other.bytes);
      WriteBytes(w, other.bytes);
      w.Key("logprob");
      WriteFloat(w, other.logprob);
      w.EndObject();
    }
    w.EndArray().EndObject();
  }
  w.EndArray();
}

double Ms(int64_t us) { return static_cast<double>(us) / 1000.0; }
double Rounded(double value) { return std::round(value * 1000) / 1000; }

// Milliseconds a token and tokens a second; 0 where there is nothing to divide by.
double PerToken(int64_t us, int64_t tokens) { return tokens > 0 ? Rounded(Ms(us) / static_cast<double>(tokens)) : 0; }
double PerSecond(int64_t us, int64_t tokens) {
  return us > 0 ? Rounded(static_cast<double>(tokens) * 1e6 / static_cast<double>(us)) : 0;
}

void WriteUsage(JsonWriter& w, const Usage& usage) {
  w.Key("usage").BeginObject();
  w.Key("prompt_tokens").Int(usage.prompt_tokens);
  w.Key("completion_tokens").Int(usage.completion_tokens);
  w.Key("total_tokens").Int(usage.prompt_tokens + usage.completion_tokens);
  w.Key("prompt_tokens_details").BeginObject().Key("cached_tokens").Int(usage.cached_tokens).EndObject();
  w.EndObject();
}

void WriteTimings(JsonWriter& w, const Timings& t) {
  w.Key("timings").BeginObject();
  w.Key("cache_n").Int(t.cached_tokens);
  w.Key("prompt_n").Int(t.prompt_tokens);
  w.Key("prompt_ms").Double(Ms(t.prompt_us));
  w.Key("prompt_per_token_ms").Double(PerToken(t.prompt_us, t.prompt_tokens));
  w.Key("prompt_per_second").Double(PerSecond(t.prompt_us, t.prompt_tokens));
  w.Key("predicted_n").Int(t.predicted_tokens);
  w.Key("predicted_ms").Double(Ms(t.predicted_us));
  w.Key("predicted_per_token_ms").Double(PerToken(t.predicted_us, t.predicted_tokens));
  w.Key("predicted_per_second").Double(PerSecond(t.predicted_us, t.predicted_tokens));
  w.Key("queue_ms").Double(Ms(t.queue_us));
  w.Key("load_ms").Double(Ms(t.load_us));
  w.EndObject();
}

// The piece that begins a call says everything about it, as OpenAI's does; the others only what is new.
void WriteCall(JsonWriter& w, const ToolCallDelta& call, bool with_index) {
  w.BeginObject();
  if (with_index) w.Key("index").Int(call.index);
  if (!call.id.empty()) w.Key("id").String(call.id).Key("type").String("function");
  w.Key("function").BeginObject();
  if (!call.id.empty()) w.Key("name").String(call.name);
  w.Key("arguments").String(call.arguments).EndObject().EndObject();
}

void WriteCalls(JsonWriter& w, const Delta& delta, bool with_index) {
  if (delta.tool_calls.empty()) return;
  w.Key("tool_calls").BeginArray();
  for (const ToolCallDelta& call : delta.tool_calls) WriteCall(w, call, with_index);
  w.EndArray();
}

void WriteDelta(JsonWriter& w, const Delta& delta) {
  w.Key("delta").BeginObject();
  if (!delta.reasoning.empty()) w.Key("reasoning_content").String(delta.reasoning);
  if (!delta.content.empty() || delta.empty()) w.Key("content").String(delta.content);
  WriteCalls(w, delta, /*with_index=*/true);
  w.EndObject();
}

// content is null where a message is nothing but calls.
void WriteMessage(JsonWriter& w, const Delta& message) {
  w.Key("message").BeginObject().Key("role").String("assistant").Key("content");
  if (message.content.empty() && !message.tool_calls.empty()) {
    w.Null();
  } else {
    w.String(message.content);
  }
  if (!message.reasoning.empty()) w.Key("reasoning_content").String(message.reasoning);
  WriteCalls(w, message, /*with_index=*/false);
  w.Key("refusal").Null().EndObject();
}

}  // namespace

void Delta::Append(Delta&& more) {
  content += more.content;
  reasoning += more.reasoning;
  for (ToolCallDelta& call : more.tool_calls) {
    if (!tool_calls.empty() && tool_calls.back().index == call.index) {
      tool_calls.back().arguments += call.arguments;
    } else {
      tool_calls.push_back(std::move(call));
    }
  }
}

void AnswerWriter::Begin(JsonWriter& w, std::string_view object) const {
  w.BeginObject().Key("id").String(head_.id).Key("object").String(object);
  w.Key("created").Int(head_.created_unix_s).Key("model").String(head_.model);
  w.Key("system_fingerprint").String(head_.fingerprint);
}

int64_t& AnswerWriter::TextOffset(int64_t choice) {
  const auto index = static_cast<size_t>(choice);
  if (index >= text_offsets_.size()) text_offsets_.resize(index + 1);
  return text_offsets_[index];
}

void AnswerWriter::LegacyLogprobs(JsonWriter& w, int64_t choice, const std::vector<TokenInfo>& tokens) {
  w.Key("tokens").BeginArray();
  for (const TokenInfo& token : tokens) w.String(LegacyName(token.bytes));
  w.EndArray().Key("token_logprobs").BeginArray();
  for (const TokenInfo& token : tokens) WriteLogprob(w, token);
  w.EndArray().Key("top_logprobs").BeginArray();
  for (const TokenInfo& token : tokens) {
    // Two tokens can have the same text; an object has one place for it, and the likelier one, which comes first, gets
    // it. content[] below has both.
    std::vector<std::string> names;
    if (token.follows_nothing) {
      w.Null();
      continue;
    }
    w.BeginObject();
    for (const Alternative& other : token.top) {
      std::string name = LegacyName(other.bytes);
      if (std::find(names.begin(), names.end(), name) != names.end()) continue;
      w.Key(name);
      WriteFloat(w, other.logprob);
      names.push_back(std::move(name));
    }
    w.EndObject();
  }
  w.EndArray().Key("text_offset").BeginArray();
  int64_t& offset = TextOffset(choice);
  for (const TokenInfo& token : tokens) {
    w.Int(offset);
    offset += token.text_chars;
  }
  w.EndArray();
}

void AnswerWriter::Logprobs(JsonWriter& w, int64_t choice, const std::vector<TokenInfo>& tokens) {
  w.Key("logprobs");
  if (!head_.with_logprobs) {
    w.Null();
    return;
  }
  w.BeginObject();
  if (head_.shape == Shape::kCompletion) LegacyLogprobs(w, choice, tokens);
  WriteContent(w, tokens);
  if (head_.shape == Shape::kChat) w.Key("refusal").Null();
  w.EndObject();
}

std::string AnswerWriter::RoleChunk(int64_t choice) {
  JsonWriter w;
  Begin(w, "chat.completion.chunk");
  w.Key("choices").BeginArray().BeginObject().Key("index").Int(choice);
  w.Key("delta").BeginObject().Key("role").String("assistant").Key("content").String("").EndObject();
  w.Key("logprobs").Null().Key("finish_reason").Null().EndObject().EndArray();
  if (head_.include_usage) w.Key("usage").Null();
  w.EndObject();
  return std::move(w).Take();
}

std::string AnswerWriter::DeltaChunk(int64_t choice, const Delta& delta, const std::vector<TokenInfo>& tokens) {
  JsonWriter w;
  const bool chat = head_.shape == Shape::kChat;
  Begin(w, chat ? "chat.completion.chunk" : "text_completion");
  w.Key("choices").BeginArray().BeginObject().Key("index").Int(choice);
  if (chat) {
    WriteDelta(w, delta);
  } else {
    w.Key("text").String(delta.content);
  }
  Logprobs(w, choice, tokens);
  w.Key("finish_reason").Null().EndObject().EndArray();
  if (head_.include_usage) w.Key("usage").Null();
  w.EndObject();
  return std::move(w).Take();
}

std::string AnswerWriter::FinishChunk(int64_t choice, std::string_view finish_reason, const Timings* timings) {
  JsonWriter w;
  const bool chat = head_.shape == Shape::kChat;
  Begin(w, chat ? "chat.completion.chunk" : "text_completion");
  w.Key("choices").BeginArray().BeginObject().Key("index").Int(choice);
  if (chat) {
    w.Key("delta").BeginObject().EndObject();
  } else {
    w.Key("text").String("");
  }
  w.Key("logprobs").Null().Key("finish_reason").String(finish_reason).EndObject().EndArray();
  if (head_.include_usage) w.Key("usage").Null();
  if (timings != nullptr) WriteTimings(w, *timings);
  w.EndObject();
  return std::move(w).Take();
}

std::string AnswerWriter::UsageChunk(const Usage& usage, const Timings& timings) {
  JsonWriter w;
  Begin(w, head_.shape == Shape::kChat ? "chat.completion.chunk" : "text_completion");
  w.Key("choices").BeginArray().EndArray();
  WriteUsage(w, usage);
  WriteTimings(w, timings);
  w.EndObject();
  return std::move(w).Take();
}

std::string AnswerWriter::Whole(const std::vector<const ChoiceAnswer*>& choices, const Usage& usage,
                                const Timings& timings) {
  JsonWriter w;
  const bool chat = head_.shape == Shape::kChat;
  Begin(w, chat ? "chat.completion" : "text_completion");
  w.Key("choices").BeginArray();
  for (size_t i = 0; i < choices.size(); ++i) {
    const ChoiceAnswer& choice = *choices[i];
    w.BeginObject().Key("index").Int(static_cast<int64_t>(i));
    if (chat) {
      WriteMessage(w, choice.message);
    } else {
      w.Key("text").String(choice.message.content);
    }
    Logprobs(w, static_cast<int64_t>(i), choice.tokens);
    w.Key("finish_reason").String(choice.finish_reason).EndObject();
  }
  w.EndArray();
  WriteUsage(w, usage);
  WriteTimings(w, timings);
  w.EndObject();
  return std::move(w).Take();
}

std::string SseEvent(std::string_view json) { return fmt::format("data: {}\n\n", json); }

}  // namespace tenfold::api
