#include "chat/output_stream.h"

#include <utility>

namespace tenfold::chat {

OutputStream::OutputStream(const tokenizer::Tokenizer& tokenizer, std::vector<std::string> stops, bool at_text_start)
    : decoder_(tokenizer, /*render_special=*/false, at_text_start), matcher_(std::move(stops)) {}

std::string OutputStream::Push(tokenizer::TokenId id) { return matcher_.Push(decoder_.Push(id)); }

std::string OutputStream::Finish() {
  std::string text = matcher_.Push(decoder_.Finish());
  text += matcher_.Finish();
  return text;
}

}  // namespace tenfold::chat
