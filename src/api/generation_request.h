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

namespace tenfold::api {

inline constexpr size_t kMaxStops = 16;
inline constexpr size_t kMaxStopBytes = 1024;  // each
inline constexpr size_t kMaxMessages = 4096;

// What both routes share.
struct GenerationOptions {
  std::string model;              // empty: not named
  double temperature = 1.0;       // 0..2, 0 is greedy
  double top_p = 1.0;             // 0..1
  int64_t top_k = 0;              // 0: off
  double min_p = 0.0;             // 0..1
  std::optional<uint64_t> seed;   // absent: the server draws one
  std::vector<std::string> stop;  // none empty
  int64_t max_tokens = -1;        // < 0: what the context leaves
  bool ignore_eos = false;
  bool stream = false;
  bool include_usage = false;
  int n_top = -1;  // < 0: no log-probabilities
};

struct ChatMessage {
  std::string role;  // "system" (also for "developer"), "user" or "assistant"
  std::string content;
};

struct ChatRequest {
  GenerationOptions options;
  std::vector<ChatMessage> messages;  // at least one
};

struct CompletionRequest {
  GenerationOptions options;
  std::variant<std::string, std::vector<int32_t>> prompt;  // ids are >= 0, not checked against a vocabulary
};

// Body bytes to struct. Pure, any thread; time and memory linear in the body.
Parsed<ChatRequest> ParseChatRequest(std::string_view body);
Parsed<CompletionRequest> ParseCompletionRequest(std::string_view body);

}  // namespace tenfold::api
