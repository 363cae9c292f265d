// Cuts text into the words inside which byte-level BPE merges.
//
// Each published pre-tokenizer is a regular expression; these are hand-written matchers of the same expressions. A
// backtracking engine (PCRE2) needs match limits on hostile text, and hitting one would mean an error or wrong tokens;
// here every alternative needs one character of look-ahead, except runs of white space, which are read at most three
// times. So time is linear by construction, invalid UTF-8 needs no repair first, and the tests hold the matchers
// against PCRE2 on random text.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tenfold::tokenizer {

enum class PreTokenizer {
  kGpt2,
  kLlama3,   // takes whole words that are tokens before it merges
  kSmaug,    // Llama 3's expression, without whole words
  kQwen2,    // normalises to NFC before cutting
  kSmolLm,   // every digit apart, then GPT-2's
  kDefault,  // what llama.cpp does with a vocabulary that names none: punctuation apart, GPT-2's, digits in threes
};

// The one that tokenizer.ggml.pre names, or nothing. Several names mean the same rules; those whose rules we do not
// know for certain are not among them.
std::optional<PreTokenizer> PreTokenizerByName(std::string_view name);
// The names above, for messages: "a, b and c".
std::string PreTokenizerNames();

// The expression that NextWord matches, in PCRE2 syntax with Unicode properties; for tests and messages.
const char* PatternOf(PreTokenizer kind);

// The end of the word that begins at text[pos]; needs pos < text.size(), returns more than pos. Each ill-formed UTF-8
// part counts as one symbol character. Any thread.
size_t NextWord(PreTokenizer kind, std::string_view text, size_t pos);

}  // namespace tenfold::tokenizer
