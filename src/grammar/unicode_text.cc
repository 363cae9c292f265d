#include "grammar/unicode_text.h"

#include "grammar/char_set.h"

namespace tenfold::grammar {

size_t DecodeCharacter(std::string_view bytes, uint32_t* character) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const uint8_t lead = byte(0);
  const size_t length = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
  if (length == 0 || bytes.size() < length) return 0;
  *character = length == 1 ? lead : lead & (0xFFU >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    *character = *character << 6 | (byte(i) & 0x3F);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  return *character < kSmallest[length] || *character > kMaxCharacter ? 0 : length;
}

std::vector<uint32_t> CharactersOf(std::string_view text) {
  std::vector<uint32_t> out;
  while (!text.empty()) {
    uint32_t character = 0xFFFD;
    const size_t length = DecodeCharacter(text, &character);
    out.push_back(length == 0 ? 0xFFFD : character);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

}  // namespace tenfold::grammar
