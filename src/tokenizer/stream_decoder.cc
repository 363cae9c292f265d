#include "tokenizer/stream_decoder.h"

#include "tokenizer/unicode.h"

namespace tenfold::tokenizer {

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool render_special, bool at_text_start)
    : tokenizer_(tokenizer),
      render_special_(render_special),
      drop_space_(at_text_start && tokenizer.adds_space_prefix()) {}

std::string StreamDecoder::Push(TokenId id) {
  std::string bytes = tokenizer_.TokenBytes(id, render_special_);
  if (drop_space_ && !tokenizer_.IsControl(id) && !bytes.empty()) {
    drop_space_ = false;
    if (bytes.front() == ' ') bytes.erase(0, 1);
  }
  pending_ += bytes;
  std::string text;
  pending_.erase(0, AppendLossyUtf8(pending_, /*keep_truncated=*/true, text));
  return text;
}

std::string StreamDecoder::Finish() {
  std::string text;
  AppendLossyUtf8(pending_, /*keep_truncated=*/false, text);
  pending_.clear();
  return text;
}

}  // namespace tenfold::tokenizer
