#include "tokenizer/pre_tokenizer.h"

#include <iterator>

#include "tokenizer/unicode.h"

namespace tenfold::tokenizer {
namespace {

struct Named {
  std::string_view name;
  PreTokenizer kind;
};

constexpr Named kNames[] = {
    {"qwen2", PreTokenizer::kQwen2},      {"deepseek-r1-qwen", PreTokenizer::kQwen2},
    {"megrez", PreTokenizer::kQwen2},     {"llama-bpe", PreTokenizer::kLlama3},
    {"llama3", PreTokenizer::kLlama3},    {"llama-v3", PreTokenizer::kLlama3},
    {"smaug-bpe", PreTokenizer::kSmaug},  {"gpt-2", PreTokenizer::kGpt2},
    {"phi-2", PreTokenizer::kGpt2},       {"smollm", PreTokenizer::kSmolLm},
    {"starcoder", PreTokenizer::kSmolLm}, {"refact", PreTokenizer::kSmolLm},
    {"default", PreTokenizer::kDefault},
};

// One character of the text, or what stands for its end.
struct Char {
  CharClass cls;
  bool at_end;
  bool punctuation;  // of the kinds that kDefault sets apart; a subset of kSymbol
  size_t end;        // where the next one begins

  bool Is(CharClass wanted) const { return !at_end && cls == wanted; }
};

// [\p{P}$+<=>^~|]
bool IsSetApart(uint32_t code_point, CharClass cls) {
  if (cls != CharClass::kSymbol) return false;
  if (code_point < 0x80) return code_point > 0x20 && code_point < 0x7F && code_point != '`';
  return IsPunctuation(code_point);
}

Char At(std::string_view text, size_t pos) {
  if (pos >= text.size()) return {CharClass::kSymbol, true, false, pos};
  const Utf8Char c = DecodeUtf8(text, pos);
  const CharClass cls = c.kind == Utf8Kind::kValid ? ClassOf(c.code_point) : CharClass::kSymbol;
  return {cls, false, false, pos + c.length};
}

// With `punctuation` filled in, which costs a look-up.
Char AtFull(std::string_view text, size_t pos) {
  Char c = At(text, pos);
  if (!c.at_end && c.cls == CharClass::kSymbol) {
    const Utf8Char decoded = DecodeUtf8(text, pos);
    c.punctuation = decoded.kind == Utf8Kind::kValid && IsSetApart(decoded.code_point, c.cls);
  }
  return c;
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

// Where a run of white space that begins at pos ends; before what GPT-2's expression never sees beside it (`stops`),
// the run is at its text's end and taken whole.
template <class Stops>
size_t SpaceEndBefore(std::string_view text, size_t pos, const Stops& stops) {
  size_t end = pos;
  size_t last_char = pos;
  for (Char c = At(text, pos); c.Is(CharClass::kSpace) || c.Is(CharClass::kNewline); c = At(text, end)) {
    last_char = end;
    end = c.end;
  }
  const bool text_ends = end >= text.size() || stops(AtFull(text, end));
  return !text_ends && last_char > pos ? last_char : end;
}

// Every number character is cut out first; GPT-2's expression then sees the pieces between them, each as a text.
size_t NextWordSmolLm(std::string_view text, size_t pos) {
  const Char first = At(text, pos);
  if (first.cls == CharClass::kNumber) return first.end;
  const Char behind = At(text, first.end);
  const bool joins = text[pos] == ' ' && (behind.Is(CharClass::kLetter) || behind.Is(CharClass::kSymbol));
  if (!joins && (first.cls == CharClass::kSpace || first.cls == CharClass::kNewline)) {
    return SpaceEndBefore(text, pos, [](const Char& c) { return c.cls == CharClass::kNumber; });
  }
  return NextWordGpt2(text, pos);
}

// Four expressions one after the other, each inside the pieces that the one before left: runs of [\p{P}$+<=>^~|];
// GPT-2's; runs of numbers; three ASCII digits. (Contractions never occur: the apostrophe is cut out first.)
size_t NextWordDefault(std::string_view text, size_t pos) {
  const Char first = AtFull(text, pos);
  if (first.punctuation) {
    size_t end = first.end;
    for (Char c = AtFull(text, end); c.punctuation; c = AtFull(text, end)) end = c.end;
    return end;
  }
  if (first.cls == CharClass::kNumber) {
    const auto three_digits = [&](size_t at) {
      if (at + 3 > text.size()) return false;
      for (size_t i = at; i < at + 3; ++i) {
        if (text[i] < '0' || text[i] > '9') return false;
      }
      return true;
    };
    if (three_digits(pos)) return pos + 3;
    size_t end = first.end;
    for (Char c = At(text, end); c.Is(CharClass::kNumber) && !three_digits(end); c = At(text, end)) end = c.end;
    return end;
  }
  const size_t begin = text[pos] == ' ' ? pos + 1 : pos;
  const Char word = AtFull(text, begin);
  if (word.Is(CharClass::kLetter)) return Skip(text, word.end, CharClass::kLetter);
  if (word.Is(CharClass::kSymbol) && !word.punctuation) {
    size_t end = word.end;
    for (Char c = AtFull(text, end); c.Is(CharClass::kSymbol) && !c.punctuation; c = AtFull(text, end)) end = c.end;
    return end;
  }
  return SpaceEndBefore(text, pos, [](const Char& c) { return c.punctuation; });
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
  for (const Named& known : kNames) {
    if (known.name == name) return known.kind;
  }
  return std::nullopt;
}

std::string PreTokenizerNames() {
  std::string names;
  for (const Named& known : kNames) {
    const bool last = &known == std::end(kNames) - 1;
    names.append(names.empty() ? "" : last ? " and " : ", ").append(known.name);
  }
  return names;
}

const char* PatternOf(PreTokenizer kind) {
  switch (kind) {
    case PreTokenizer::kGpt2:
      return R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
    case PreTokenizer::kLlama3:
    case PreTokenizer::kSmaug:
      return R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
             R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
    case PreTokenizer::kQwen2:
      return R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
             R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
    case PreTokenizer::kSmolLm:  // one expression that gives what the two give one after the other
      return R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?![^\s\p{N}])|\s+)";
    case PreTokenizer::kDefault:  // one expression that gives what the four give one after the other
      return R"([\p{P}$+<=>^~|]+| ?\p{L}+| ?[^\s\p{L}\p{N}\p{P}$+<=>^~|]+|[0-9]{3}|(?:(?![0-9]{3})\p{N})+)"
             R"(|\s+(?![^\s\p{P}$+<=>^~|])|\s+)";
  }
  return "";
}

size_t NextWord(PreTokenizer kind, std::string_view text, size_t pos) {
  switch (kind) {
    case PreTokenizer::kGpt2:
      return NextWordGpt2(text, pos);
    case PreTokenizer::kLlama3:
    case PreTokenizer::kSmaug:
      return NextWordQwen2(text, pos, /*max_digits=*/3);
    case PreTokenizer::kQwen2:
      return NextWordQwen2(text, pos, /*max_digits=*/1);
    case PreTokenizer::kSmolLm:
      return NextWordSmolLm(text, pos);
    case PreTokenizer::kDefault:
      return NextWordDefault(text, pos);
  }
  return text.size();
}

}  // namespace tenfold::tokenizer
