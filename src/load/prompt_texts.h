// The texts that built-in prompts are made of (prompts.h): questions, and pages of facts to ask about.
#pragma once

#include <span>
#include <string_view>

namespace tenfold::load {

struct Texts {
  std::span<const std::string_view> questions;    // whole short prompts
  std::span<const std::string_view> pages;        // four pages of facts, of one length
  std::span<const std::string_view> about_page;   // a question about any one page
  std::span<const std::string_view> about_pages;  // a question about all of them
};

extern const Texts kEnglishTexts;
extern const Texts kKoreanTexts;

}  // namespace tenfold::load
