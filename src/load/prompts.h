// What the users of a load test ask: different, realistic questions, so that no prompt cache helps by accident; in
// three lengths and two languages, because a token of Korean is a third of the text a token of English is.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tenfold::load {

struct Prompt {
  std::string text;
  std::string expect;  // what a right answer contains; empty: not known
};

// Tokens as a Qwen tokenizer counts a whole chat of one message; prompts of one language and length cost alike.
enum class Length {
  kShort,   // about 90: a question
  kMedium,  // about 300: a page of facts and a question about it
  kLong,    // about 1,000: four such pages and a question about all
};
enum class Language { kEnglish, kKorean };

// The built-in prompts of all the given kinds, kinds taking turns. Neither list empty.
std::vector<Prompt> BuiltInPrompts(const std::vector<Length>& lengths, const std::vector<Language>& languages);

// "short", "medium", "long"; "en", "ko". Errors list what there is.
Result<Length> LengthFromName(std::string_view name);
Result<Language> LanguageFromName(std::string_view name);

// A file's text, one prompt a line, blank lines skipped. A line that begins with '{' is an object with "prompt" and, if
// it is wanted, "expect": text that a right answer contains. Errors name the line.
Result<std::vector<Prompt>> PromptsFromText(std::string_view text);

// Number `n` of the endless row: from the second time round numbered at its front, so that not even a beginning is
// shared. `prompts` not empty.
Prompt PromptAt(const std::vector<Prompt>& prompts, size_t n);

}  // namespace tenfold::load
