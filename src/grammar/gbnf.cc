#include "grammar/gbnf.h"

#include <fmt/format.h>

#include <map>
#include <optional>

#include "grammar/unicode_text.h"

namespace tenfold::grammar {
namespace {

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class Parser {
 public:
  Parser(std::string_view text, Syntax& syntax) : text_(text), syntax_(syntax) {}

  Result<ExprId> Run() {
    SkipSpace(/*lines=*/true);
    while (!AtEnd()) TENFOLD_TRY_STATUS(ReadRule());
    for (const auto& [name, rule] : rules_) {
      if (syntax_.rule(rule.id).defined) continue;
      at_ = rule.first_use;
      return Fail(fmt::format("rule '{}' is used but not defined", name.substr(0, 100)));
    }
    const auto root = rules_.find("root");
    if (root == rules_.end()) return Error{ErrorCode::kInvalidArgument, "the grammar has no rule named root"};
    return syntax_.Reference(root->second.id);
  }

 private:
  struct NamedRule {
    RuleId id = 0;
    size_t first_use = 0;
  };

  bool AtEnd() const { return at_ >= text_.size(); }
  bool Sees(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool Take(char c) {
    if (!Sees(c)) return false;
    ++at_;
    return true;
  }

  Error Fail(std::string_view what) const {
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < at_ && i < text_.size(); ++i) {
      if (text_[i] == '\n') {
        ++line;
        column = 1;
      } else if ((static_cast<uint8_t>(text_[i]) & 0xC0) != 0x80) {
        ++column;
      }
    }
    return {ErrorCode::kInvalidArgument, fmt::format("line {}, column {}: {}", line, column, what)};
  }

  void SkipSpace(bool lines) {
    while (!AtEnd()) {
      const char c = text_[at_];
      if (c == '#') {
        while (!AtEnd() && text_[at_] != '\n' && text_[at_] != '\r') ++at_;
      } else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
        ++at_;
      } else {
        return;
      }
    }
  }

  // The byte here, for a message.
  std::string Shown() const {
    if (AtEnd()) return "the end of the grammar";
    const auto byte = static_cast<uint8_t>(text_[at_]);
    return byte > 0x20 && byte < 0x7F ? fmt::format("'{}'", text_[at_]) : fmt::format("the byte 0x{:02X}", byte);
  }

  std::string_view ReadName() {
    const size_t begin = at_;
    while (!AtEnd() && IsNameCharacter(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  RuleId RuleNamed(std::string_view name, size_t used_at) {
    const auto [it, is_new] = rules_.try_emplace(std::string(name));
    if (is_new) it->second = {syntax_.DeclareRule(std::string(name.substr(0, 100))), used_at};
    return it->second.id;
  }

  Status ReadRule() {
    const size_t begin = at_;
    const std::string_view name = ReadName();
    if (name.empty()) return Fail("a rule must begin here: name ::= ...");
    const RuleId rule = RuleNamed(name, begin);
    if (syntax_.rule(rule).defined) {
      at_ = begin;
      return Fail(fmt::format("rule '{}' is defined twice", name.substr(0, 100)));
    }
    SkipSpace(/*lines=*/false);
    if (text_.substr(at_, 3) != "::=") return Fail(fmt::format("expected ::= behind '{}'", name.substr(0, 100)));
    at_ += 3;
    SkipSpace(/*lines=*/true);
    TENFOLD_TRY(const ExprId body, ReadChoice(/*depth=*/0));
    syntax_.DefineRule(rule, body);
    if (!AtEnd() && text_[at_] != '\n' && text_[at_] != '\r') {
      return Fail(fmt::format("{} does not fit here", Shown()));
    }
    SkipSpace(/*lines=*/true);
    return {};
  }

  // Past the alternatives; at the end of the line, of the group, or of the text.
  Result<ExprId> ReadChoice(int depth) {
    std::vector<ExprId> options;
    while (true) {
      TENFOLD_TRY(const ExprId option, ReadSequence(depth));
      options.push_back(option);
      const size_t line_end = at_;
      SkipSpace(/*lines=*/true);
      if (!Take('|')) {
        if (depth == 0) at_ = line_end;
        return syntax_.Choice(std::move(options));
      }
      SkipSpace(/*lines=*/true);
    }
  }

  Result<ExprId> ReadSequence(int depth) {
    std::vector<ExprId> parts;
    while (true) {
      SkipSpace(/*lines=*/depth > 0);
      if (AtEnd() || Sees('|') || Sees(')') || Sees('\n') || Sees('\r')) break;
      TENFOLD_TRY(const ExprId symbol, ReadSymbol(depth));
      SkipSpace(/*lines=*/depth > 0);
      TENFOLD_TRY(const ExprId repeated, ReadRepetitions(symbol));
      parts.push_back(repeated);
    }
    return parts.empty() ? syntax_.Empty() : syntax_.Sequence(std::move(parts));
  }

  Result<ExprId> ReadSymbol(int depth) {
    const size_t begin = at_;
    if (Take('"')) return ReadLiteral();
    if (Take('[')) return ReadClass();
    if (Take('.')) return syntax_.Chars(CharSet::All());
    if (Take('(')) {
      if (depth >= kMaxGroupDepth) {
        return Fail(fmt::format("groups are nested deeper than {} levels; use rules", kMaxGroupDepth));
      }
      SkipSpace(/*lines=*/true);
      TENFOLD_TRY(const ExprId group, ReadChoice(depth + 1));
      if (!Take(')')) return Fail("expected ) here");
      return group;
    }
    if (Sees('<') || Sees('!')) return Fail("token literals (<...>) are not supported; write their text");
    const std::string_view name = ReadName();
    if (name.empty()) return Fail(fmt::format("{} does not fit here", Shown()));
    return syntax_.Reference(RuleNamed(name, begin));
  }

  Result<ExprId> ReadRepetitions(ExprId symbol) {
    for (int count = 0;; ++count) {
      if (count > kMaxGroupDepth) return Fail("too many repetitions of one symbol");
      if (Take('*')) {
        symbol = syntax_.Repeat(symbol, 0, kNoLimit);
      } else if (Take('+')) {
        symbol = syntax_.Repeat(symbol, 1, kNoLimit);
      } else if (Take('?')) {
        symbol = syntax_.Repeat(symbol, 0, 1);
      } else if (Take('{')) {
        TENFOLD_TRY(symbol, ReadCounts(symbol));
      } else {
        return symbol;
      }
      SkipSpace(/*lines=*/false);
    }
  }

  Result<ExprId> ReadCounts(ExprId symbol) {
    SkipSpace(/*lines=*/false);
    std::optional<uint32_t> min;
    std::optional<uint32_t> max;
    TENFOLD_TRY(min, ReadCount());
    SkipSpace(/*lines=*/false);
    if (Take(',')) {
      SkipSpace(/*lines=*/false);
      TENFOLD_TRY(max, ReadCount());
      if (!min && !max) return Fail("expected a number here");
      SkipSpace(/*lines=*/false);
      if (!max) max = kNoLimit;
    } else {
      if (!min) return Fail("expected a number here");
      max = min;
    }
    if (!Take('}')) return Fail("expected } here");
    if (min.value_or(0) > *max) return Fail("the repetition's lower bound is above its upper bound");
    return syntax_.Repeat(symbol, min.value_or(0), *max);
  }

  Result<std::optional<uint32_t>> ReadCount() {
    std::optional<uint32_t> count;
    for (; !AtEnd() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      count = count.value_or(0) * 10 + static_cast<uint32_t>(text_[at_] - '0');
      if (*count > kMaxRepetition) return Fail(fmt::format("a repetition count is above {}", kMaxRepetition));
    }
    return count;
  }

  Result<ExprId> ReadLiteral() {
    std::string bytes;
    while (!Take('"')) {
      TENFOLD_TRY(const uint32_t character, ReadCharacter("\""));
      AppendUtf8(character, &bytes);
    }
    return syntax_.Literal(bytes);
  }

  Result<ExprId> ReadClass() {
    std::vector<CharRange> ranges;
    const bool negated = Take('^');
    while (!Take(']')) {
      TENFOLD_TRY(const uint32_t low, ReadCharacter("]"));
      uint32_t high = low;
      if (Sees('-') && text_.substr(at_ + 1, 1) != "]") {
        ++at_;
        TENFOLD_TRY(high, ReadCharacter("]"));
      }
      if (high < low) return Fail("the range's first character is behind its last");
      ranges.push_back({low, high});
    }
    const CharSet set(std::move(ranges));
    if (set.empty() && !negated) return Fail("an empty character class matches nothing");
    return syntax_.Chars(negated ? set.Complement() : set);
  }

  // One character of a literal or class, escaped or not.
  Result<uint32_t> ReadCharacter(std::string_view closing) {
    if (AtEnd()) return Fail(fmt::format("the grammar ends where {} is expected", closing));
    if (Take('\\')) return ReadEscape();
    uint32_t character = 0;
    const size_t length = DecodeCharacter(text_.substr(at_), &character);
    if (length == 0) return Fail("the grammar is not valid UTF-8");
    TENFOLD_TRY(character, Checked(character));
    at_ += length;
    return character;
  }

  Result<uint32_t> Checked(uint32_t character) const {
    if (character > kMaxCharacter || (character >= 0xD800 && character <= 0xDFFF)) {
      return Fail(fmt::format("U+{:04X} is no character", character));
    }
    return character;
  }

  Result<uint32_t> ReadEscape() {
    if (AtEnd()) return Fail("the grammar ends inside an escape");
    const char kind = text_[at_++];
    switch (kind) {
      case 'n':
        return uint32_t{'\n'};
      case 'r':
        return uint32_t{'\r'};
      case 't':
        return uint32_t{'\t'};
      case '\\':
      case '"':
      case '[':
      case ']':
        return static_cast<uint32_t>(kind);
      case 'x':
        return ReadHex(2);
      case 'u':
        return ReadHex(4);
      case 'U':
        return ReadHex(8);
      default:
        --at_;
        return Fail(fmt::format("unknown escape: \\ in front of {}", Shown()));
    }
  }

  Result<uint32_t> ReadHex(int digits) {
    uint32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const int digit = AtEnd() ? -1 : HexDigit(text_[at_]);
      if (digit < 0) return Fail(fmt::format("expected {} hexadecimal digits here", digits));
      value = value << 4 | static_cast<uint32_t>(digit);
      ++at_;
    }
    return Checked(value);
  }

  std::string_view text_;
  size_t at_ = 0;
  Syntax& syntax_;
  std::map<std::string, NamedRule, std::less<>> rules_;
};

}  // namespace

Result<ExprId> ParseGbnf(std::string_view text, Syntax& syntax) {
  if (text.size() > kMaxGbnfBytes) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("the grammar has {} bytes; at most {} are taken", text.size(), kMaxGbnfBytes)};
  }
  return Parser(text, syntax).Run();
}

}  // namespace tenfold::grammar
