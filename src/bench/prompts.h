// What the users of a load test ask: different, realistic questions of one length, so that no prompt cache helps and
// every user costs the same.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tenfold::bench {

// `count` different prompts, about 88 tokens each as a Qwen tokenizer counts a whole chat of one message.
std::vector<std::string> BuiltInPrompts(size_t count);

// `count` different prompts out of a file's text, one prompt a line, blank lines skipped; repeats, numbered, when there
// are fewer lines. kInvalidArgument when there is none.
Result<std::vector<std::string>> PromptsFromLines(std::string_view text, size_t count);

}  // namespace tenfold::bench
