// UTF-8 decoding, character classes and NFC for the tokenizers: what utf8proc does not do safely on hostile text.
//
// What it does: names every ill-formed byte sequence the way Unicode recommends (one U+FFFD per maximal subpart), and
// normalises in O(n log n). What it does not: case folding, grapheme breaks, other normal forms.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tenfold::tokenizer {

enum class Utf8Kind : uint8_t {
  kValid,      // a character
  kInvalid,    // bytes that no continuation can make a character
  kTruncated,  // the text ends inside what may still become a character
};

struct Utf8Char {
  uint32_t code_point;  // U+FFFD unless kValid
  uint8_t length;       // bytes, 1..4; for kInvalid and kTruncated the maximal subpart (Unicode 14, section 3.9, D93b)
  Utf8Kind kind;
};

// The character at text[pos]; needs pos < text.size().
Utf8Char DecodeUtf8(std::string_view text, size_t pos);

// Appends the text with U+FFFD for each ill-formed part, and returns how many bytes of `text` were used: all of them
// except, when `keep_truncated`, the at most 3 bytes at the end that may still become a character.
size_t AppendLossyUtf8(std::string_view text, bool keep_truncated, std::string& out);

// The classes that pre-tokenizer patterns tell apart. kSymbol is everything else: punctuation, marks, unassigned.
enum class CharClass : uint8_t { kSymbol, kLetter, kNumber, kSpace, kNewline };

// kLetter: \p{L}; kNumber: \p{N}; kNewline: CR, LF; kSpace: the other White_Space characters.
CharClass ClassOf(uint32_t code_point);

// \p{P}: the connectors, dashes, brackets, quotes and other punctuation of kSymbol.
bool IsPunctuation(uint32_t code_point);

// The text in Unicode normal form C. Ill-formed parts stay as they are and separate what is composed. Returns `text`
// itself where it holds nothing that NFC could change, else a view of `storage`.
std::string_view ToNfc(std::string_view text, std::string& storage);

}  // namespace tenfold::tokenizer
