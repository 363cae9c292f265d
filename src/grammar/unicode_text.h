// UTF-8 bytes to characters, for text that a parser has checked already.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace tenfold::grammar {

// The length in bytes of the character that `bytes` (not empty) begin with, and the character; 0 where they begin with
// none: UTF-8 that is cut off, too long, or beyond U+10FFFF. Surrogates pass. Any thread.
size_t DecodeCharacter(std::string_view bytes, uint32_t* character);

// All characters; bytes that are none become U+FFFD each.
std::vector<uint32_t> CharactersOf(std::string_view text);

}  // namespace tenfold::grammar
