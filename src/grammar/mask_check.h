// What must hold of a grammar and its masks whatever it is, for tests and fuzzers: see CheckRandomWalk.
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "grammar/grammar.h"

namespace tenfold::grammar {

// A vocabulary of all bytes, a few longer tokens, one that ends an answer (the last but one) and one that no grammar
// allows (the last).
std::shared_ptr<const Vocabulary> SmallVocabulary();

struct Walk {
  std::string text;
  bool whole = false;   // the text matches
  std::string failure;  // the error that ended it, of a grammar that is too ambiguous or fits no token
  std::string broken;   // what does not hold; "" is what everybody hopes for
};

// Draws up to `tokens` tokens as masks allow. Each mask is compared with following every token's bytes alone; tokens
// that a mask allows must be accepted, and the text may end exactly where the end token is allowed.
Walk CheckRandomWalk(const std::shared_ptr<const Grammar>& grammar, std::mt19937& random, int tokens);

}  // namespace tenfold::grammar
