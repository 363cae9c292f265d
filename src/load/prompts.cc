#include "load/prompts.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "load/prompt_texts.h"

namespace tenfold::load {
namespace {

namespace json = boost::json;

const Texts& TextsOf(Language language) { return language == Language::kEnglish ? kEnglishTexts : kKoreanTexts; }

// Prompts of one kind: for a page each question once, for all pages each question with each page as the first.
std::vector<std::string> PromptsOf(Length length, Language language) {
  const Texts& texts = TextsOf(language);
  std::vector<std::string> out;
  if (length == Length::kShort) {
    out.assign(texts.questions.begin(), texts.questions.end());
    return out;
  }
  const bool all = length == Length::kLong;
  const auto& questions = all ? texts.about_pages : texts.about_page;
  for (size_t turn = 0; turn < questions.size(); ++turn) {
    for (size_t page = 0; page < texts.pages.size(); ++page) {
      std::string text(questions[(turn + page) % questions.size()]);
      for (size_t i = 0; i < (all ? texts.pages.size() : 1); ++i) {
        text += fmt::format("\n\n{}", texts.pages[(page + i) % texts.pages.size()]);
      }
      out.push_back(std::move(text));
    }
  }
  return out;
}

Result<Prompt> PromptFromLine(std::string_view line) {
  if (!line.starts_with('{')) return Prompt{std::string(line), ""};
  boost::system::error_code error;
  const json::value value = json::parse(line, error);
  if (error || !value.is_object()) {
    return Error{ErrorCode::kInvalidArgument, "begins with '{' and is no JSON object"};
  }
  Prompt prompt;
  for (const auto& [key, text] : value.get_object()) {
    std::string* member = key == "prompt" ? &prompt.text : key == "expect" ? &prompt.expect : nullptr;
    if (member == nullptr || !text.is_string()) {
      return Error{
          ErrorCode::kInvalidArgument,
          fmt::format("\"{}\": only \"prompt\" and \"expect\" are known, and both are texts", std::string_view(key))};
    }
    *member = text.get_string();
  }
  if (prompt.text.empty()) return Error{ErrorCode::kInvalidArgument, "has no \"prompt\""};
  return prompt;
}

}  // namespace

std::vector<Prompt> BuiltInPrompts(const std::vector<Length>& lengths, const std::vector<Language>& languages) {
  std::vector<std::vector<std::string>> kinds;
  size_t most = 0;
  for (const Length length : lengths) {
    for (const Language language : languages) {
      kinds.push_back(PromptsOf(length, language));
      most = std::max(most, kinds.back().size());
    }
  }
  std::vector<Prompt> prompts;
  for (size_t i = 0; i < most; ++i) {
    for (const auto& kind : kinds) {
      if (i < kind.size()) prompts.push_back({kind[i], ""});
    }
  }
  return prompts;
}

Result<Length> LengthFromName(std::string_view name) {
  if (name == "short") return Length::kShort;
  if (name == "medium") return Length::kMedium;
  if (name == "long") return Length::kLong;
  return Error{ErrorCode::kInvalidArgument, fmt::format("'{}' is no length: short, medium or long", name)};
}

Result<Language> LanguageFromName(std::string_view name) {
  if (name == "en") return Language::kEnglish;
  if (name == "ko") return Language::kKorean;
  return Error{ErrorCode::kInvalidArgument, fmt::format("'{}' is no language of the built-in prompts: en or ko", name)};
}

Result<std::vector<Prompt>> PromptsFromText(std::string_view text) {
  std::vector<Prompt> prompts;
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
    Result<Prompt> prompt = PromptFromLine(line);
    if (!prompt.ok()) {
      return Error{ErrorCode::kInvalidArgument, fmt::format("line {} {}", number, prompt.error().message)};
    }
    prompts.push_back(std::move(*prompt));
  }
  if (prompts.empty()) return Error{ErrorCode::kInvalidArgument, "the file has no line with text in it"};
  return prompts;
}

Prompt PromptAt(const std::vector<Prompt>& prompts, size_t n) {
  Prompt prompt = prompts[n % prompts.size()];
  const size_t turn = n / prompts.size();
  if (turn > 0) prompt.text = fmt::format("({}) {}", turn + 1, prompt.text);
  return prompt;
}

}  // namespace tenfold::load
