#include "tokenizer/pre_tokenizer.h"

#include "tokenizer/unicode.h"

namespace tenfold::tokenizer {
namespace {

// One character of the text, or what stands for its end.
struct Char {
  CharClass cls;
  bool at_end;
  size_t end;  // where the next one begins

  bool Is(CharClass wanted) const { return !at_end && cls == wanted; }
};

Char At(std::string_view text, size_t pos) {
  if (pos >= text.size()) return {CharClass::kSymbol, true, pos};
  const Utf8Char c = DecodeUtf8(text, pos);
  return {c.kind == Utf8Kind::kValid ? ClassOf(c.code_point) : CharClass::kSymbol, false, pos + c.length};
}

size_t Skip(std::string_view text, size_t pos, CharClass cls) {
  for (Char c = At(text, pos); c.Is(cls); c = At(text, pos)) pos = c.end;
  return pos;
}

// 's|'t|'re|'ve|'m|'ll|'d after the apostrophe at pos; 0 when there is none. Ignoring case takes in U+017F, the long s,
// whose simple case folding is s.
size_t ContractionEnd(std::string_view text, size_t pos, bool ignore_case) {
  const auto letter = [&](size_t i) -> char {
    if (i >= text.size()) return 0;
    const char c = text[i];
    return ignore_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  const char first = letter(pos + 1);
  const char second = letter(pos + 2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return pos + 2;
  if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l')) {
    return pos + 3;
  }
  if (ignore_case && text.substr(pos + 1, 2) == "\xC5\xBF") return pos + 3;
  return 0;
}

// \s*[\r\n]+|\s+(?!\S)|\s+ at a white space character; the first alternative only with `newline_ends`.
size_t SpaceEnd(std::string_view text, size_t pos, bool newline_ends) {
  size_t end = pos;
  size_t last_char = pos;    // where the run's last character begins
  size_t newline_end = pos;  // behind the run's last CR or LF
  for (Char c = At(text, pos); c.Is(CharClass::kSpace) || c.Is(CharClass::kNewline); c = At(text, end)) {
    last_char = end;
    end = c.end;
    if (c.cls == CharClass::kNewline) newline_end = end;
  }
  if (newline_ends && newline_end > pos) return newline_end;
  // Before other text the last space is left to the word that follows, unless it is the only one.
  return end < text.size() && last_char > pos ? last_char : end;
}

size_t NextWordGpt2(std::string_view text, size_t pos) {
  if (text[pos] == '\'') {
    if (const size_t end = ContractionEnd(text, pos, /*ignore_case=*/false)) return end;
  }
  const size_t begin = text[pos] == ' ' ? pos + 1 : pos;
  const Char c = At(text, begin);
  if (c.Is(CharClass::kLetter) || c.Is(CharClass::kNumber) || c.Is(CharClass::kSymbol)) {
    return Skip(text, c.end, c.cls);
  }
  return SpaceEnd(text, pos, /*newline_ends=*/false);
}

// Qwen2 and Llama 3 differ in how many digits make a word.
size_t NextWordQwen2(std::string_view text, size_t pos, int max_digits) {
  if (text[pos] == '\'') {
    if (const size_t end = ContractionEnd(text, pos, /*ignore_case=*/true)) return end;
  }
  const Char first = At(text, pos);
  if (first.cls == CharClass::kLetter) return Skip(text, first.end, CharClass::kLetter);
  if (first.cls == CharClass::kNumber) {
    size_t end = first.end;
    for (int digits = 1; digits < max_digits; ++digits) {
      const Char c = At(text, end);
      if (!c.Is(CharClass::kNumber)) break;
      end = c.end;
    }
    return end;
  }
  if (first.cls != CharClass::kNewline && At(text, first.end).Is(CharClass::kLetter)) {
    return Skip(text, first.end, CharClass::kLetter);
  }
  const size_t symbols = text[pos] == ' ' ? pos + 1 : pos;
  if (At(text, symbols).Is(CharClass::kSymbol)) {
    return Skip(text, Skip(text, symbols, CharClass::kSymbol), CharClass::kNewline);
  }
  return SpaceEnd(text, pos, /*newline_ends=*/true);
}

}  // namespace

std::optional<PreTokenizer> PreTokenizerByName(std::string_view name) {
  if (name == "gpt-2") return PreTokenizer::kGpt2;
  if (name == "llama-bpe") return PreTokenizer::kLlama3;
  if (name == "qwen2") return PreTokenizer::kQwen2;
  return std::nullopt;
}

const char* PatternOf(PreTokenizer kind) {
  switch (kind) {
    case PreTokenizer::kGpt2:
      return R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
    case PreTokenizer::kLlama3:
      return R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
             R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
    case PreTokenizer::kQwen2:
      return R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
             R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
  }
  return "";
}

size_t NextWord(PreTokenizer kind, std::string_view text, size_t pos) {
  switch (kind) {
    case PreTokenizer::kGpt2:
      return NextWordGpt2(text, pos);
    case PreTokenizer::kLlama3:
      return NextWordQwen2(text, pos, /*max_digits=*/3);
    case PreTokenizer::kQwen2:
      return NextWordQwen2(text, pos, /*max_digits=*/1);
  }
  return text.size();
}

}  // namespace tenfold::tokenizer
