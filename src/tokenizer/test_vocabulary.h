// Small vocabularies made in memory, so that tests and the fuzzer need no data from outside.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tokenizer/tokenizer.h"
#include "tokenizer/vocabulary.h"

namespace tenfold::tokenizer {

// A vocabulary that owns its lists; change them before Make.
struct TestVocabulary {
  Vocabulary rest;  // everything but tokens and merges
  std::vector<std::string> tokens;
  std::vector<std::string> merges;

  // Appends a token and returns its id. score: SPM only.
  TokenId Add(std::string text, TokenType type, float score = 0);
  Result<std::unique_ptr<Tokenizer>> TryMake() const;
  // Needs a vocabulary that is right; stops the process otherwise.
  std::unique_ptr<Tokenizer> Make() const;
};

// 256 byte tokens (id = byte), merges for some English and for runs of 'a', spaces and newlines, a control token for
// each of <|endoftext|> (bos), <|im_start|>, <|im_end|> (eos), and the user-defined tokens <think> and </think>.
TestVocabulary TestBpeVocabulary(PreTokenizer pre);

// <unk> 0, <s> 1, </s> 2, 256 byte tokens from 3 on, letters, pieces of some English, runs of spaces, "<tool>"
// user-defined.
TestVocabulary TestSpmVocabulary();

}  // namespace tenfold::tokenizer
