// Any bytes through both kinds of tokenizer, with small vocabularies that hold every case: merges, byte fallback,
// control, user-defined and unused tokens.
//
// First byte: bits 0-1 choose the vocabulary, bit 2 parse_special, bit 3 add_special, bit 4 at_text_start. The rest is
// the text. Checked: decoding gives the (normalised) text back byte for byte, text gives no control token unless asked,
// and streaming gives the same text as decoding at once.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "tokenizer/stream_decoder.h"
#include "tokenizer/test_vocabulary.h"
#include "tokenizer/unicode.h"

namespace tenfold::tokenizer {
namespace {

const Tokenizer& Choose(int which) {
  static const std::unique_ptr<Tokenizer> kTokenizers[] = {
      TestBpeVocabulary(PreTokenizer::kQwen2).Make(), TestBpeVocabulary(PreTokenizer::kLlama3).Make(),
      TestBpeVocabulary(PreTokenizer::kGpt2).Make(), [] {
        TestVocabulary v = TestSpmVocabulary();
        v.rest.types[static_cast<size_t>(std::find(v.tokens.begin(), v.tokens.end(), "hell") - v.tokens.begin())] =
            static_cast<int64_t>(TokenType::kUnused);
        return v.Make();
      }()};
  return *kTokenizers[which];
}

// SPM writes U+2581 for the space, and so cannot tell the two apart.
std::string WithSpaces(std::string text) {
  for (size_t at = text.find("\u2581"); at != std::string::npos; at = text.find("\u2581", at)) text.replace(at, 3, " ");
  return text;
}

void CheckRoundTrip(const Tokenizer& tokenizer, int which, std::string_view text, EncodeOptions options) {
  const std::vector<TokenId> ids = tokenizer.Encode(text, options);
  for (size_t i = 0; i < ids.size(); ++i) {
    TENFOLD_CHECK(ids[i] >= 0 && ids[i] < tokenizer.vocab_size(), "id outside the vocabulary");
    const bool is_bos = i == 0 && options.add_special && tokenizer.adds_bos();
    TENFOLD_CHECK(options.parse_special || is_bos || !tokenizer.IsControl(ids[i]), "text became a control token");
  }
  if (options.parse_special || options.add_special) return;
  std::string normal_form;
  std::string wanted(which == 0 ? ToNfc(text, normal_form) : text);
  if (which == 3) wanted = WithSpaces(wanted);
  // A user-defined token is cut out before NFC, which then sees its neighbours apart.
  if (which == 0 && normal_form.size() > 0 && text.find("think>") != std::string_view::npos) return;
  TENFOLD_CHECK(tokenizer.Decode(ids, false) == wanted, "decoding gives another text");
}

void CheckStream(const Tokenizer& tokenizer, std::string_view text, EncodeOptions options, bool at_text_start) {
  const std::vector<TokenId> ids = tokenizer.Encode(text, options);
  StreamDecoder decoder(tokenizer, options.parse_special, at_text_start);
  std::string streamed, bytes, wanted;
  for (const TokenId id : ids) {
    const std::string piece = decoder.Push(id);
    for (size_t pos = 0; pos < piece.size();) {
      const Utf8Char c = DecodeUtf8(piece, pos);
      TENFOLD_CHECK(c.kind == Utf8Kind::kValid, "a piece is not UTF-8");
      pos += c.length;
    }
    streamed += piece;
    bytes += tokenizer.TokenBytes(id, options.parse_special);
  }
  streamed += decoder.Finish();
  AppendLossyUtf8(at_text_start ? tokenizer.Decode(ids, options.parse_special) : bytes, false, wanted);
  TENFOLD_CHECK(streamed == wanted, "streaming gives another text");
}

}  // namespace
}  // namespace tenfold::tokenizer

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tenfold::tokenizer;
  if (size == 0) return 0;
  const int which = data[0] & 3;
  const EncodeOptions options{.add_special = (data[0] & 8) != 0, .parse_special = (data[0] & 4) != 0};
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  CheckRoundTrip(Choose(which), which, text, options);
  CheckStream(Choose(which), text, options, (data[0] & 16) != 0);
  return 0;
}
