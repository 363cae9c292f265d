#include "jinja/casing.h"

#include <string>

#include "jinja/utf8.h"

namespace tenfold::jinja {
namespace {

// `map` appends what becomes of a character.
template <class Map>
MarkedText Mapped(const MarkedText& text, Map map) {
  std::string out;
  out.reserve(text.size());
  const std::string& bytes = text.bytes();
  for (size_t at = 0; at < bytes.size(); at += CharacterBytes(bytes, at)) map(out, CodePointAt(bytes, at));
  return text.WithBytes(std::move(out));
}

constexpr char32_t kSharpS = 0xDF;  // the one letter here whose capital form is two

void PutUpper(std::string& out, char32_t c) { c == kSharpS ? (void)(out += "SS") : AppendUtf8(out, ToUpper(c)); }
void PutTitle(std::string& out, char32_t c) { c == kSharpS ? (void)(out += "Ss") : AppendUtf8(out, ToUpper(c)); }
void PutLower(std::string& out, char32_t c) { AppendUtf8(out, ToLower(c)); }

}  // namespace

MarkedText Uppercase(const MarkedText& text) { return Mapped(text, PutUpper); }
MarkedText Lowercase(const MarkedText& text) { return Mapped(text, PutLower); }

MarkedText SwappedCase(const MarkedText& text) {
  return Mapped(text, [](std::string& out, char32_t c) { IsUpper(c) ? PutLower(out, c) : PutUpper(out, c); });
}

MarkedText Capitalized(const MarkedText& text) {
  bool first = true;
  return Mapped(text, [&](std::string& out, char32_t c) {
    first ? PutTitle(out, c) : PutLower(out, c);
    first = false;
  });
}

MarkedText TitleCase(const MarkedText& text) {
  bool in_word = false;
  return Mapped(text, [&](std::string& out, char32_t c) {
    in_word ? PutLower(out, c) : PutTitle(out, c);
    in_word = IsUpper(c) || IsLower(c);
  });
}

MarkedText FilterTitle(const MarkedText& text) {
  bool in_word = false;
  return Mapped(text, [&](std::string& out, char32_t c) {
    const bool separates = IsSpace(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    separates || in_word ? PutLower(out, c) : PutUpper(out, c);
    in_word = !separates;
  });
}

}  // namespace tenfold::jinja
