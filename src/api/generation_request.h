// The bodies of /v1/chat/completions and /v1/completions as structs, validated field by field.
//
// Every field is one of: implemented; known and accepted only at the value that changes nothing (n: 1, tools: []);
// unknown. The last two are refused by name otherwise, because a silently ignored field is a wrong answer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/api_error.h"
#include "api/chat_message.h"
#include "api/response_format.h"
#include "api/tools_request.h"

namespace tenfold::api {

inline constexpr size_t kMaxStops = 16;
inline constexpr size_t kMaxStopBytes = 1024;  // each
inline constexpr size_t kMaxSaltBytes = 1024;
inline constexpr size_t kMaxBiases = 4096;
inline constexpr size_t kMaxChoices = 128;  // of one request: n times its prompts

struct LogitBias {
  int32_t token = 0;  // >= 0, not checked against a vocabulary
  float bias = 0;     // -100..100, or -inf
  bool operator==(const LogitBias&) const = default;
};

// What both routes share.
struct GenerationOptions {
  std::string model;            // empty: not named
  double temperature = 1.0;     // 0..2, 0 is greedy
  double top_p = 1.0;           // 0..1
  int64_t top_k = 0;            // 0: off
  double min_p = 0.0;           // 0..1
  double typical_p = 1.0;       // 0..1
  double presence_penalty = 0;  // -2..2, as the next one of the answer's tokens
  double frequency_penalty = 0;
  double repeat_penalty = 1.0;        // 0.1..10, of the last repeat_last_n tokens, the prompt's included
  int64_t repeat_last_n = 64;         // -1: all
  std::vector<LogitBias> logit_bias;  // several of one token add up
  std::optional<uint64_t> seed;       // absent: the server draws one
  std::vector<std::string> stop;      // none empty
  int64_t n = 1;                      // choices for each prompt
  int64_t max_tokens = -1;            // < 0: what the context leaves; 0 only with echo
  bool echo = false;                  // completions only: the prompt comes back in front of each of its answers
  bool ignore_eos = false;
  bool cache_prompt = true;  // may take its prompt's beginning from the prefix cache and leave its own there
  std::string cache_salt;    // shares that only with requests of the same salt
  int64_t deadline_ms = -1;  // the whole answer is wanted so long after the request came; < 0: as the server says
  std::string user{};        // whose share of the machine it is, where API keys do not say; "" for the address
  bool stream = false;
  bool include_usage = false;
  OutputFormat format{};
  int n_top = -1;  // < 0: no log-probabilities
};

struct ChatRequest {
  GenerationOptions options;
  std::vector<ChatMessage> messages;  // at least one
  ToolOptions tools{};
  std::string tools_json{};            // the array as JSON, "" for none or where no call is wanted
  bool separate_reasoning = true;      // reasoning_format: <think> blocks are not content
  std::string documents_json{};        // an array, "" for none
  std::string template_kwargs_json{};  // chat_template_kwargs, an object; "" for none
  bool add_generation_prompt = true;
  bool continue_final_message = false;  // the answer goes on where the last message ends
};

using Prompt = std::variant<std::string, std::vector<int32_t>>;  // ids are >= 0, not checked against a vocabulary

struct CompletionRequest {
  GenerationOptions options;
  std::vector<Prompt> prompts;  // at least one; n times as many choices are at most kMaxChoices
};

// Body bytes to struct. Pure, any thread; time and memory linear in the body.
Parsed<ChatRequest> ParseChatRequest(std::string_view body);
Parsed<CompletionRequest> ParseCompletionRequest(std::string_view body);

}  // namespace tenfold::api
