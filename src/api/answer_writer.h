// The answers of both generation routes as JSON: whole objects, stream chunks, usage, timings, log-probabilities.
//
// What it does: shape. What it does not: decide what text goes out (server/ does), or frame it (sse.h does).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/generation_request.h"
#include "api/json_writer.h"

namespace tenfold::api {

enum class Shape { kChat, kCompletion };

// What is the same in every object of one answer.
struct AnswerHead {
  Shape shape = Shape::kChat;
  std::string id;  // "chatcmpl-..." or "cmpl-..."
  int64_t created_unix_s = 0;
  std::string model;
  std::string fingerprint;
  bool with_logprobs = false;
  bool include_usage = false;
};

struct Alternative {
  int32_t id = 0;
  std::string bytes;
  float logprob = 0;  // natural log
};

// One token that was drawn or echoed; `bytes` may be half a character.
struct TokenInfo {
  int32_t id = 0;
  std::string bytes;
  float logprob = 0;
  int64_t text_chars = 0;  // characters of the text that are complete with it; none of a hidden control token
  std::vector<Alternative> top;
  bool follows_nothing = false;  // a prompt's first token, which has no log-probability
};

// What a piece of output adds to one tool call. The piece that begins a call has its id and name, the others have ""
// there; arguments are the next part of one text, which is usually JSON but is whatever the model wrote.
struct ToolCallDelta {
  int64_t index = 0;  // of the call in its message
  std::string id{};
  std::string name{};
  std::string arguments{};
};

// What a piece of output adds to its choice's message. An empty member adds nothing.
struct Delta {
  std::string content{};
  std::string reasoning{};
  std::vector<ToolCallDelta> tool_calls{};

  bool empty() const { return content.empty() && reasoning.empty() && tool_calls.empty(); }
  // Calls that went on go on in the last one of their index; indexes begin at 0 and come in order.
  void Append(Delta&& more);
};

// One choice of a whole answer.
struct ChoiceAnswer {
  Delta message;
  std::vector<TokenInfo> tokens;
  std::string finish_reason;
};

struct Usage {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  int64_t cached_tokens = 0;
};

// All in microseconds; written in milliseconds under llama-server's names plus queue_ms and load_ms.
struct Timings {
  int64_t cached_tokens = 0;
  int64_t prompt_tokens = 0;  // computed, without the cached ones
  int64_t prompt_us = 0;
  int64_t predicted_tokens = 0;
  int64_t predicted_us = 0;
  int64_t queue_us = 0;
  int64_t load_us = 0;
};

// Writes one answer's objects; one per answer, one thread at a time.
class AnswerWriter {
 public:
  explicit AnswerWriter(AnswerHead head) : head_(std::move(head)) {}

  // Stream chunks, those of one choice in this order; the choices' may mix. RoleChunk is for chat only. `tokens` are
  // those whose text is in `delta`. A delta with content, reasoning or one call's piece is what clients expect; one
  // with nothing carries tokens alone.
  std::string RoleChunk(int64_t choice);
  std::string DeltaChunk(int64_t choice, const Delta& delta, const std::vector<TokenInfo>& tokens);
  // `timings` only with the last one, and null even then when a usage chunk follows: they belong to the last chunk.
  std::string FinishChunk(int64_t choice, std::string_view finish_reason, const Timings* timings);
  // Once, after every choice has finished.
  std::string UsageChunk(const Usage& usage, const Timings& timings);

  // The whole answer of a request that does not stream.
  std::string Whole(const std::vector<const ChoiceAnswer*>& choices, const Usage& usage, const Timings& timings);

 private:
  void Begin(JsonWriter& w, std::string_view object) const;
  void Logprobs(JsonWriter& w, int64_t choice, const std::vector<TokenInfo>& tokens);
  void LegacyLogprobs(JsonWriter& w, int64_t choice, const std::vector<TokenInfo>& tokens);
  int64_t& TextOffset(int64_t choice);

  AnswerHead head_;
  std::vector<int64_t> text_offsets_;  // by choice: characters before its next token, for the legacy arrays
};

// One SSE event; `json` has no newline.
std::string SseEvent(std::string_view json);
inline constexpr std::string_view kSseDone = "data: [DONE]\n\n";
inline constexpr std::string_view kSsePing = ": ping\n\n";

}  // namespace tenfold::api
