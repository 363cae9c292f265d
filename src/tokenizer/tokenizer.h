// Text to token ids and back, for the vocabularies that GGUF files carry: byte-level BPE and SPM with byte fallback.
//
// What it does not: chat formats (chat/ does) or streaming (tokenizer/stream_decoder.h does).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gguf/file.h"

namespace tenfold::tokenizer {

using TokenId = int32_t;
inline constexpr TokenId kNoToken = -1;

// Bytes [begin, end) of a text.
struct TextRange {
  size_t begin = 0;
  size_t end = 0;
};

struct EncodeOptions {
  bool add_special = false;    // put BOS in front and EOS behind where the model file says so (add_bos_token,
                               // add_eos_token); chat/ asks for neither and follows the template
  bool parse_special = false;  // recognise control tokens ("<|im_start|>") written in the text
  // Where parse_special does not hold: a control token is recognised only where it shares no byte with these, though
  // the longest that does not is still found. Sorted, disjoint.
  std::span<const TextRange> data{};
};

// Immutable after construction; every method may be called from any thread at the same time.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Reads tokenizer.ggml.*; refuses by name a model or pre-tokenizer it does not implement.
  static Result<std::unique_ptr<Tokenizer>> FromGguf(const gguf::File& file);

  // Time is linear (up to a log factor) in text size, also on hostile text. Invalid UTF-8 is never an error: its bytes
  // become byte tokens. Without parse_special no text whatsoever gives a control token. Needs text below 512 MiB.
  virtual std::vector<TokenId> Encode(std::string_view text, EncodeOptions options) const = 0;

  // The bytes that a token stands for; may be part of a character. Control and unknown tokens give "" unless
  // `render_special`. Needs 0 <= id < vocab_size().
  virtual std::string TokenBytes(TokenId id, bool render_special) const = 0;

  // The bytes of a sequence. SPM drops the one space that its encoder put in front when the sequence begins the text.
  std::string Decode(const std::vector<TokenId>& ids, bool render_special) const;

  virtual TokenId vocab_size() const = 0;
  virtual TokenId bos() const = 0;  // kNoToken when absent
  virtual TokenId eos() const = 0;
  virtual bool IsEndOfGeneration(TokenId id) const = 0;  // eos, eot, <|im_end|>, <|endoftext|>, ...
  virtual bool IsControl(TokenId id) const = 0;
  virtual bool adds_bos() const = 0;
  // True when Encode puts a space in front of text (SPM), which decoding from the start of a text takes away again.
  virtual bool adds_space_prefix() const = 0;
  // The id of a token by its literal text ("<|im_start|>"), or kNoToken.
  virtual TokenId Find(std::string_view literal) const = 0;
};

}  // namespace tenfold::tokenizer
