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
#include <string_view>

namespace tenfold::tokenizer {

enum class PreTokenizer { kGpt2, kLlama3, kQwen2 };

// The one that tokenizer.ggml.pre names, or nothing.
std::optional<PreTokenizer> PreTokenizerByName(std::string_view name);

// The expression that NextWord matches, in PCRE2 syntax with Unicode properties; for tests and messages.
const char* PatternOf(PreTokenizer kind);

// The end of the word that begins at text[pos]; needs pos < text.size(), returns more than pos. Each ill-formed UTF-8
// part counts as one symbol character. Any thread.
size_t NextWord(PreTokenizer kind, std::string_view text, size_t pos);

}  // namespace tenfold::tokenizer
