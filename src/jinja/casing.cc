#include "jinja/casing.h"

#include <string>

#include "jinja/utf8.h"

namespace tenfold::jinja {
namespace {

template <class Map>
MarkedText Mapped(const MarkedText& text, Map map) {
  std::string out;
  out.reserve(text.size());
  const std::string& bytes = text.bytes();
  for (size_t at = 0; at < bytes.size(); at += CharacterBytes(bytes, at)) AppendUtf8(out, map(CodePointAt(bytes, at)));
  return text.WithBytes(std::move(out));
}

}  // namespace

MarkedText Uppercase(const MarkedText& text) { return Mapped(text, ToUpper); }
MarkedText Lowercase(const MarkedText& text) { return Mapped(text, ToLower); }

MarkedText SwappedCase(const MarkedText& text) {
  return Mapped(text, [](char32_t c) { return IsUpper(c) ? ToLower(c) : ToUpper(c); });
}

MarkedText Capitalized(const MarkedText& text) {
  bool first = true;
  return Mapped(text, [&](char32_t c) {
    const char32_t out = first ? ToUpper(c) : ToLower(c);
    first = false;
    return out;
  });
}

MarkedText TitleCase(const MarkedText& text) {
  bool in_word = false;
  return Mapped(text, [&](char32_t c) {
    const char32_t out = in_word ? ToLower(c) : ToUpper(c);
    in_word = IsUpper(c) || IsLower(c);
    return out;
  });
}

MarkedText FilterTitle(const MarkedText& text) {
  bool in_word = false;
  return Mapped(text, [&](char32_t c) {
    const bool separates = IsSpace(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    const char32_t out = separates || in_word ? ToLower(c) : ToUpper(c);
    in_word = !separates;
    return out;
  });
}

}  // namespace tenfold::jinja
