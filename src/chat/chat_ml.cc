#include "chat/chat_ml.h"

#include <string_view>
#include <utility>

namespace tenfold::chat {
namespace {

// Collects text and control tokens. Text between two control tokens is encoded in one piece, as the models saw it.
class PromptWriter {
 public:
  explicit PromptWriter(const tokenizer::Tokenizer& tokenizer) : tokenizer_(tokenizer) {
    if (tokenizer.adds_bos()) ids_.push_back(tokenizer.bos());
  }

  void Text(std::string_view text) { text_.append(text); }

  void Markup(std::string_view literal) {
    const tokenizer::TokenId id = tokenizer_.Find(literal);
    if (!tokenizer_.IsControl(id)) {
      Text(literal);
      return;
    }
    FlushText();
    ids_.push_back(id);
  }

  std::vector<tokenizer::TokenId> Take() {
    FlushText();
    return std::move(ids_);
  }

 private:
  void FlushText() {
    const auto ids = tokenizer_.Encode(text_, {.add_special = false, .parse_special = false});
    ids_.insert(ids_.end(), ids.begin(), ids.end());
    text_.clear();
  }

  const tokenizer::Tokenizer& tokenizer_;
  std::string text_;
  std::vector<tokenizer::TokenId> ids_;
};

}  // namespace

std::vector<tokenizer::TokenId> RenderChatMl(const tokenizer::Tokenizer& tokenizer,
                                             const std::vector<Message>& messages, bool add_generation_prompt) {
  PromptWriter prompt(tokenizer);
  for (const Message& message : messages) {
    prompt.Markup("<|im_start|>");
    prompt.Text(message.role);
    prompt.Text("\n");
    prompt.Text(message.content);
    prompt.Markup("<|im_end|>");
    prompt.Text("\n");
  }
  if (add_generation_prompt) {
    prompt.Markup("<|im_start|>");
    prompt.Text("assistant\n");
  }
  return prompt.Take();
}

}  // namespace tenfold::chat
