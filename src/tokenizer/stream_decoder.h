// Turns a stream of tokens into text that never ends in half a character.
#pragma once

#include <string>

#include "tokenizer/tokenizer.h"

namespace tenfold::tokenizer {

// One per answer, used by one thread at a time; the tokenizer must outlive it.
class StreamDecoder {
 public:
  // `at_text_start`: the answer begins the text (SPM's first space is dropped), as opposed to continuing a prompt.
  StreamDecoder(const Tokenizer& tokenizer, bool render_special, bool at_text_start);

  // The text that became certain with this token: whole UTF-8 characters only, often "". Bytes that can no longer
  // become a character come out as U+FFFD.
  std::string Push(TokenId id);
  // What is left at the end: U+FFFD for an unfinished character, "" otherwise.
  std::string Finish();

 private:
  const Tokenizer& tokenizer_;
  bool render_special_;
  bool drop_space_;
  std::string pending_;  // at most 3 bytes: the beginning of a character
};

}  // namespace tenfold::tokenizer
