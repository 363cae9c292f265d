// The bodies of /tokenize and /detokenize, as llama-server spells them, and their answers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/api_error.h"

namespace tenfold::api {

struct TokenizeRequest {
  std::string content;
  bool add_special = false;   // BOS in front where the model says so
  bool parse_special = true;  // control tokens written in the text count as such
  bool with_pieces = false;
};

struct DetokenizeRequest {
  std::vector<int32_t> tokens;  // each >= 0, not checked against a vocabulary
};

Parsed<TokenizeRequest> ParseTokenizeRequest(std::string_view body);
Parsed<DetokenizeRequest> ParseDetokenizeRequest(std::string_view body);

// {"tokens":[1,2]}, or with pieces (same length as ids) {"tokens":[{"id":1,"piece":"a"}]}; a piece that is no UTF-8 is
// an array of its bytes.
std::string TokenizeAnswer(const std::vector<int32_t>& ids, const std::vector<std::string>* pieces);
// {"content":"..."}
std::string DetokenizeAnswer(std::string_view content);

// True when the bytes are whole UTF-8 characters.
bool IsUtf8(std::string_view bytes);

}  // namespace tenfold::api
