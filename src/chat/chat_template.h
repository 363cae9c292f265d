// A model's chat template, parsed once: conversations to prompt text, and that to token ids.
//
// What it does: gives the template what Hugging Face gives it (messages, tools, documents, bos_token, eos_token,
// add_generation_prompt, chat_template_kwargs), and keeps every byte of the request from becoming a control token:
// those are recognised only where they lie wholly in the template's own words. What it does not: validate the
// conversation; templates refuse what their model does not know.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "chat/message.h"
#include "jinja/template.h"
#include "tokenizer/tokenizer.h"

namespace tenfold::chat {

// Immutable; any thread.
class ChatTemplate {
 public:
  // `source` "": ChatML where the vocabulary has <|im_start|>, else conversations are refused with advice. A source
  // that does not parse refuses them, too, with its line: the model still serves completions.
  ChatTemplate(std::string source, const tokenizer::Tokenizer& tokenizer);

  // As the model file or --chat-template-file holds it, or ChatML written as a template where neither does.
  const std::string& source() const { return source_; }
  // Why no conversation can be rendered, "" when they can.
  const std::string& problem() const { return problem_; }

  // kInvalidArgument: the template refuses this conversation, or fails on it; kUnsupported: problem().
  Result<jinja::MarkedText> Render(const tokenizer::Tokenizer& tokenizer, const ChatInput& input,
                                   int64_t now_unix_s) const;

 private:
  std::string source_;
  std::string problem_;
  std::optional<jinja::Template> template_;
};

// The ids of a rendered prompt, with one BOS where the model file asks for it, whether or not the template writes it.
std::vector<tokenizer::TokenId> PromptTokens(const tokenizer::Tokenizer& tokenizer, const jinja::MarkedText& prompt);

}  // namespace tenfold::chat
