// One answer's way from tokens to text: whole characters, cut at the first stop string.
#pragma once

#include <string>
#include <vector>

#include "chat/stop_matcher.h"
#include "tokenizer/stream_decoder.h"
#include "tokenizer/tokenizer.h"

namespace tenfold::chat {

// One per answer, used by one thread at a time; the tokenizer must outlive it.
class OutputStream {
 public:
  // at_text_start: as in StreamDecoder. Control tokens are not rendered.
  OutputStream(const tokenizer::Tokenizer& tokenizer, std::vector<std::string> stops, bool at_text_start);

  // The text that became certain with this token: valid UTF-8, often "".
  std::string Push(tokenizer::TokenId id);
  // What is left when no more tokens come.
  std::string Finish();
  // True once a stop string has appeared: the text is complete without it, and no more tokens are wanted.
  bool stopped() const { return matcher_.stopped(); }

 private:
  tokenizer::StreamDecoder decoder_;
  StopMatcher matcher_;
};

}  // namespace tenfold::chat
