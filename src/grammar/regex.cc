#include "grammar/regex.h"

#include <fmt/format.h>

#include <optional>
#include <vector>

#include "grammar/unicode_text.h"

namespace tenfold::grammar {
namespace {

constexpr int kMaxRegexDepth = 50;

const CharSet& DigitSet() {
  static const CharSet set({{'0', '9'}});
  return set;
}
const CharSet& WordSet() {
  static const CharSet set({{'0', '9'}, {'A', 'Z'}, {'a', 'z'}, {'_', '_'}});
  return set;
}
const CharSet& SpaceSet() {
  static const CharSet set({{9, 13},
                            {32, 32},
                            {0xA0, 0xA0},
                            {0x1680, 0x1680},
                            {0x2000, 0x200A},
                            {0x2028, 0x2029},
                            {0x202F, 0x202F},
                            {0x205F, 0x205F},
                            {0x3000, 0x3000},
                            {0xFEFF, 0xFEFF}});
  return set;
}
const CharSet& DotSet() {
  static const CharSet set = CharSet({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}).Complement();
  return set;
}
CharSet Only(uint32_t character) { return CharSet({{character, character}}); }

int HexDigit(uint32_t c) {
  if (c >= '0' && c <= '9') return static_cast<int>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<int>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<int>(c - 'A') + 10;
  return -1;
}

class Parser {
 public:
  Parser(std::string_view pattern, Syntax& syntax, JsonParts& parts)
      : text_(CharactersOf(pattern)), s_(syntax), parts_(parts) {}

  Result<ExprId> Run() {
    const ExprId anything = s_.Repeat(parts_.StringChar(), 0, kNoLimit);
    std::vector<ExprId> options;
    do {
      const bool from_start = Take('^');
      TENFOLD_TRY(const ExprId body, ReadSequence(0));
      const bool to_end = Take('$');
      options.push_back(s_.Sequence({from_start ? s_.Empty() : anything, body, to_end ? s_.Empty() : anything}));
    } while (Take('|'));
    if (at_ < text_.size()) return Invalid(Sees(')') ? "a ) without its (" : "something behind the $");
    return s_.Choice(std::move(options));
  }

 private:
  bool Sees(char c, size_t ahead = 0) const {
    return at_ + ahead < text_.size() && text_[at_ + ahead] == static_cast<uint32_t>(static_cast<uint8_t>(c));
  }
  bool Take(char c) {
    if (!Sees(c)) return false;
    ++at_;
    return true;
  }
  Error Invalid(std::string_view what) const {
    return {ErrorCode::kInvalidArgument, fmt::format("the pattern has {} at character {}", what, at_ + 1)};
  }
  Error Unsupported(std::string_view what) const {
    return {ErrorCode::kUnsupported,
            fmt::format("the pattern has {} at character {}, which is not supported", what, at_ + 1)};
  }

  Result<ExprId> ReadChoice(int depth) {
    std::vector<ExprId> options;
    do {
      TENFOLD_TRY(const ExprId option, ReadSequence(depth));
      options.push_back(option);
    } while (Take('|'));
    return s_.Choice(std::move(options));
  }

  Result<ExprId> ReadSequence(int depth) {
    std::vector<ExprId> items;
    while (at_ < text_.size() && !Sees('|') && !Sees(')')) {
      // Left to Run where they belong, refused elsewhere.
      if (Sees('$') && depth == 0 && (at_ + 1 == text_.size() || Sees('|', 1))) break;
      if (Sees('^') || Sees('$')) return Unsupported("^ or $ in the middle");
      TENFOLD_TRY(const ExprId item, ReadItem(depth));
      TENFOLD_TRY(const ExprId repeated, ReadRepetition(item));
      items.push_back(repeated);
    }
    return items.empty() ? s_.Empty() : s_.Sequence(std::move(items));
  }

  Result<ExprId> ReadItem(int depth) {
    if (Take('(')) {
      if (depth >= kMaxRegexDepth) return Unsupported("more than 50 nested groups");
      if (Take('?')) {
        if (Sees('=') || Sees('!') || Sees('<')) return Unsupported("look-around or a named group");
        if (!Take(':')) return Invalid("an unknown kind of group");
      }
      TENFOLD_TRY(const ExprId group, ReadChoice(depth + 1));
      if (!Take(')')) return Invalid("a ( without its )");
      return group;
    }
    if (Take('[')) return ReadClass();
    if (Take('.')) return parts_.CharInString(DotSet());
    if (Sees('*') || Sees('+') || Sees('?') || Sees('{')) return Invalid("a repetition of nothing");
    CharSet set;
    if (Take('\\')) {
      TENFOLD_TRY(set, ReadEscape());
    } else {
      set = Only(text_[at_++]);
    }
    return parts_.CharInString(set);
  }

  Result<ExprId> ReadRepetition(ExprId item) {
    uint32_t min = 0;
    uint32_t max = kNoLimit;
    if (Take('*')) {
      min = 0;
    } else if (Take('+')) {
      min = 1;
    } else if (Take('?')) {
      max = 1;
    } else if (Take('{')) {
      TENFOLD_TRY(min, ReadCount());
      max = min;
      if (Take(',')) {
        max = kNoLimit;
        if (!Sees('}')) {
          TENFOLD_TRY(max, ReadCount());
        }
      }
      if (!Take('}')) return Invalid("a { without its }");
      if (min > max) return Invalid("a repetition whose bounds are not in order");
    } else {
      return item;
    }
    Take('?');
    if (Sees('*') || Sees('+') || Sees('?') || Sees('{')) return Invalid("a repetition of a repetition");
    return s_.Repeat(item, min, max);
  }

  Result<uint32_t> ReadCount() {
    uint32_t count = 0;
    const size_t begin = at_;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      count = count * 10 + (text_[at_] - '0');
      if (count > kMaxRepetition) return Invalid("a repetition count that is too large");
    }
    if (at_ == begin) return Invalid("a { that is no repetition; escape it");
    return count;
  }

  Result<ExprId> ReadClass() {
    const bool negated = Take('^');
    std::vector<CharRange> ranges;
    while (!Take(']')) {
      if (at_ >= text_.size()) return Invalid("a [ without its ]");
      TENFOLD_TRY(const CharSet low, ReadClassItem());
      const bool is_range = Sees('-') && at_ + 1 < text_.size() && !Sees(']', 1);
      if (!is_range) {
        ranges.insert(ranges.end(), low.ranges().begin(), low.ranges().end());
        continue;
      }
      ++at_;
      TENFOLD_TRY(const CharSet high, ReadClassItem());
      const auto single = [](const CharSet& set) {
        return set.ranges().size() == 1 && set.ranges()[0].low == set.ranges()[0].high;
      };
      if (!single(low) || !single(high)) return Invalid("a range whose end is not one character");
      if (low.ranges()[0].low > high.ranges()[0].low) return Invalid("a range whose ends are not in order");
      ranges.push_back({low.ranges()[0].low, high.ranges()[0].low});
    }
    const CharSet set(std::move(ranges));
    return parts_.CharInString(negated ? set.Complement() : set);
  }

  Result<CharSet> ReadClassItem() {
    if (at_ >= text_.size()) return Invalid("a [ without its ]");
    if (Take('\\')) {
      if (Take('b')) return Only('\b');
      if (Take('-')) return Only('-');
      return ReadEscape();
    }
    return Only(text_[at_++]);
  }

  Result<CharSet> ReadEscape() {
    if (at_ >= text_.size()) return Invalid("a \\ at its end");
    const uint32_t c = text_[at_];
    switch (c) {
      case 'd':
      case 'D':
      case 'w':
      case 'W':
      case 's':
      case 'S': {
        ++at_;
        const CharSet& set = (c | 0x20U) == 'd' ? DigitSet() : (c | 0x20U) == 'w' ? WordSet() : SpaceSet();
        return (c & 0x20U) != 0 ? set : set.Complement();
      }
      case 'n':
      case 'r':
      case 't':
      case 'f':
      case 'v':
        ++at_;
        return Only(c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c == 'f' ? '\f' : '\v');
      case 'x':
        ++at_;
        return ReadHex(2);
      case 'u':
        ++at_;
        return ReadHex(4);
      default:
        break;
    }
    if (c == '0' && !(at_ + 1 < text_.size() && text_[at_ + 1] >= '0' && text_[at_ + 1] <= '9')) {
      ++at_;
      return Only(0);
    }
    const bool letter_or_digit = WordSet().Contains(c) && c != '_';
    if (letter_or_digit) return Unsupported(fmt::format("the escape \\{}", static_cast<char>(c)));
    ++at_;
    return Only(c);
  }

  Result<CharSet> ReadHex(int digits) {
    uint32_t value = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const int digit = at_ < text_.size() ? HexDigit(text_[at_]) : -1;
      if (digit < 0) return Invalid("an escape with too few hexadecimal digits");
      value = value << 4 | static_cast<uint32_t>(digit);
    }
    if (value >= 0xD800 && value <= 0xDFFF) return Unsupported("half of a surrogate pair");
    return Only(value);
  }

  const std::vector<uint32_t> text_;
  size_t at_ = 0;
  Syntax& s_;
  JsonParts& parts_;
};

// Days that exist, with leap years; times without leap seconds.
#define TENFOLD_YEAR_LEAP "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
#define TENFOLD_DATE                                                                                                  \
  "([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))" \
  "|" TENFOLD_YEAR_LEAP "-02-29)"
#define TENFOLD_TIME "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define TENFOLD_BYTE "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define TENFOLD_LABEL "[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"

struct Format {
  std::string_view name;
  std::string_view pattern;
};
constexpr Format kFormats[] = {
    {"date", "^" TENFOLD_DATE "$"},
    {"time", "^" TENFOLD_TIME "$"},
    {"date-time", "^" TENFOLD_DATE "T" TENFOLD_TIME "$"},
    {"uuid", "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"},
    {"ipv4", "^(" TENFOLD_BYTE "\\.){3}" TENFOLD_BYTE "$"},
    {"hostname", "^" TENFOLD_LABEL "(\\." TENFOLD_LABEL "){0,3}$"},
    {"email", "^[a-zA-Z0-9_+-]{1,20}(\\.[a-zA-Z0-9_+-]{1,20}){0,2}@" TENFOLD_LABEL "(\\." TENFOLD_LABEL "){1,3}$"},
};

}  // namespace

Result<ExprId> RegexInString(std::string_view pattern, Syntax& syntax, JsonParts& parts) {
  if (pattern.size() > kMaxPatternBytes) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("the pattern has {} bytes; at most {} are taken", pattern.size(), kMaxPatternBytes)};
  }
  return Parser(pattern, syntax, parts).Run();
}

std::string_view PatternOfFormat(std::string_view format) {
  for (const Format& known : kFormats) {
    if (known.name == format) return known.pattern;
  }
  return {};
}

std::string_view KnownFormats() { return "date, time, date-time, uuid, ipv4, hostname, email"; }

}  // namespace tenfold::grammar
