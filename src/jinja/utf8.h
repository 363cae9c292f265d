// Characters of UTF-8 text, as Python counts, indexes and classifies them.
//
// Needs valid UTF-8: templates and JSON are checked when they are read, and every operation here cuts between
// characters. Letters are folded beyond ASCII for Latin, Greek and Cyrillic only, which is what chat markup holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tenfold::jinja {

bool IsUtf8(std::string_view text);
// The bytes of the character that starts at text[at]; at least 1, never beyond the end. Needs at < text.size().
size_t CharacterBytes(std::string_view text, size_t at);
char32_t CodePointAt(std::string_view text, size_t at);
// Needs a code point that is no surrogate and at most 0x10FFFF.
void AppendUtf8(std::string& out, char32_t code_point);

size_t CountCharacters(std::string_view text);
// The byte where character `index` starts; text.size() when there are no more.
size_t ByteOffset(std::string_view text, size_t index);

bool IsSpace(char32_t c);  // as str.isspace
bool IsLetter(char32_t c);
bool IsAlnum(char32_t c);
bool IsUpper(char32_t c);
bool IsLower(char32_t c);
char32_t ToUpper(char32_t c);
char32_t ToLower(char32_t c);

// How many bytes of white space begin or end the text.
size_t LeadingSpaceBytes(std::string_view text);
size_t TrailingSpaceBytes(std::string_view text);

}  // namespace tenfold::jinja
