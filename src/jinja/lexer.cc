#include "jinja/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <utility>

#include "jinja/string_literal.h"
#include "jinja/utf8.h"

namespace tenfold::jinja {
namespace {

constexpr std::array<std::string_view, 27> kOperators = {"//", "**", "==", "!=", "<=", ">=", "+", "-", "*",
                                                         "/",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                         "<",  ">",  "=",  ".",  ":",  "|",  ",", ";", ""};

bool IsNameStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<uint8_t>(c) >= 0x80;
}
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNamePart(char c) { return IsNameStart(c) || IsDigit(c); }

std::string NormalizedNewlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
      continue;
    }
    out += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)), rest_(source_) {}

  Result<std::vector<Token>> Run() {
    while (!error_ && !rest_.empty()) Root();
    if (error_) return Error{ErrorCode::kInvalidArgument, *error_};
    Push(TokenType::kEnd);
    return std::move(tokens_);
  }

 private:
  Token& Push(TokenType type, std::string_view text = {}) {
    tokens_.push_back({.type = type, .line = line_, .text = std::string(text)});
    return tokens_.back();
  }

  void Fail(int line, std::string_view message) {
    if (!error_) error_ = fmt::format("line {}: {}", line, message);
    rest_ = {};
  }

  void Advance(size_t bytes) {
    line_ += static_cast<int>(std::count(rest_.begin(), rest_.begin() + static_cast<ptrdiff_t>(bytes), '\n'));
    rest_.remove_prefix(bytes);
  }

  // Consumes the bytes that end a tag, and says whether a line starts after them.
  void EndTag(size_t bytes) {
    const std::string_view consumed = rest_.substr(0, bytes);
    line_starting_ = consumed.ends_with('\n');
    Advance(bytes);
  }

  // From text to the end of the next comment, or to the inside of the next tag.
  void Root() {
    size_t at = 0;
    while ((at = rest_.find('{', at)) != std::string_view::npos) {
      if (at + 1 < rest_.size() && (rest_[at + 1] == '{' || rest_[at + 1] == '%' || rest_[at + 1] == '#')) break;
      ++at;
    }
    if (at == std::string_view::npos) {
      Push(TokenType::kText, rest_);
      rest_ = {};
      return;
    }
    const char what = rest_[at + 1];
    const char sign = at + 2 < rest_.size() ? rest_[at + 2] : '\0';
    PushText(rest_.substr(0, at), what, sign);
    Advance(at);
    const size_t open_bytes = sign == '-' || sign == '+' ? 3 : 2;
    if (what == '#') return Comment(open_bytes);
    if (what == '%' && Raw(open_bytes)) return;
    Push(what == '%' ? TokenType::kStatementBegin : TokenType::kOutputBegin);
    const int line = line_;
    Advance(open_bytes);
    Inside(what, line);
  }

  // The text before a tag, less what its sign and lstrip_blocks take away.
  void PushText(std::string_view text, char what, char sign) {
    if (sign == '-') {
      text.remove_suffix(TrailingSpaceBytes(text));
    } else if (sign != '+' && what != '{') {
      const size_t newline = text.rfind('\n');
      const size_t line_begin = newline == std::string_view::npos ? 0 : newline + 1;
      const std::string_view last_line = text.substr(line_begin);
      const bool starts_line = line_begin > 0 || line_starting_;
      if (starts_line && LeadingSpaceBytes(last_line) == last_line.size()) text = text.substr(0, line_begin);
    }
    if (!text.empty()) Push(TokenType::kText, text);
  }

  void Comment(size_t open_bytes) {
    // The sign of the end may touch the opening: {#-#} is a comment, as is {##}.
    const size_t end = rest_.find("#}", std::min(open_bytes, rest_.size()));
    if (end == std::string_view::npos) return Fail(line_, "a comment {# is never closed by #}");
    const bool minus = end > open_bytes && rest_[end - 1] == '-';
    const bool plus = end > open_bytes && rest_[end - 1] == '+';
    EndTag(end + 2 + TrimBytes(rest_.substr(end + 2), minus, plus));
  }

  // How much of what follows a statement or comment goes with it.
  static size_t TrimBytes(std::string_view after, bool minus, bool plus) {
    if (minus) return LeadingSpaceBytes(after);
    return !plus && after.starts_with('\n') ? 1 : 0;
  }

  // {% raw %}...{% endraw %} becomes text. False, and nothing consumed, when this is another tag.
  bool Raw(size_t open_bytes) {
    const std::optional<RawTag> open = MatchRawTag(open_bytes, "raw");
    if (!open) return false;
    const int line = line_;
    Advance(open->minus ? open->bytes + LeadingSpaceBytes(rest_.substr(open->bytes)) : open->bytes);
    for (size_t at = 0; (at = rest_.find("{%", at)) != std::string_view::npos; at += 2) {
      const std::string_view whole = rest_;
      rest_ = whole.substr(at);
      const char sign = rest_.size() > 2 ? rest_[2] : '\0';
      const std::optional<RawTag> close = MatchRawTag(sign == '-' || sign == '+' ? 3 : 2, "endraw");
      rest_ = whole;
      if (!close) continue;
      line_starting_ = false;
      PushText(rest_.substr(0, at), '%', sign);
      const size_t end = at + close->bytes;
      EndTag(end + TrimBytes(rest_.substr(end), close->minus, close->plus));
      return true;
    }
    Fail(line, "{% raw %} is never closed by {% endraw %}");
    return true;
  }

  struct RawTag {
    size_t bytes;
    bool minus;
    bool plus;
  };
  std::optional<RawTag> MatchRawTag(size_t open_bytes, std::string_view word) const {
    std::string_view s = rest_.substr(std::min(open_bytes, rest_.size()));
    s.remove_prefix(LeadingSpaceBytes(s));
    if (!s.starts_with(word)) return std::nullopt;
    s.remove_prefix(word.size());
    s.remove_prefix(LeadingSpaceBytes(s));
    const bool minus = s.starts_with('-'), plus = s.starts_with('+');
    if (minus || plus) s.remove_prefix(1);
    if (!s.starts_with("%}")) return std::nullopt;
    return RawTag{rest_.size() - s.size() + 2, minus, plus};
  }

  // The words of one tag. `what` is '{' or '%'.
  void Inside(char what, int begin_line) {
    std::string open_brackets;
    while (!rest_.empty()) {
      const size_t space = LeadingSpaceBytes(rest_);
      if (space > 0) {
        Advance(space);
        continue;
      }
      if (open_brackets.empty() && TagEnd(what)) return;
      Word(open_brackets);
    }
    if (!error_) Fail(begin_line, what == '{' ? "{{ is never closed by }}" : "{% is never closed by %}");
  }

  bool TagEnd(char what) {
    const std::string_view close = what == '{' ? "}}" : "%}";
    const bool minus = rest_.starts_with('-');
    const bool plus = what == '%' && rest_.starts_with('+');
    const size_t sign = minus || plus ? 1 : 0;
    if (!rest_.substr(sign).starts_with(close)) return false;
    Push(what == '{' ? TokenType::kOutputEnd : TokenType::kStatementEnd);
    const std::string_view after = rest_.substr(sign + 2);
    EndTag(sign + 2 + (what == '{' ? (minus ? LeadingSpaceBytes(after) : 0) : TrimBytes(after, minus, plus)));
    return true;
  }

  void Word(std::string& open_brackets) {
    const char c = rest_[0];
    if (IsNameStart(c)) return Name();
    if (IsDigit(c)) return Number();
    if (c == '"' || c == '\'') return String(c);
    for (const std::string_view op : kOperators) {
      if (op.empty() || !rest_.starts_with(op)) continue;
      if (c == '(' || c == '[' || c == '{') open_brackets += c == '(' ? ')' : c == '[' ? ']' : '}';
      if (c == ')' || c == ']' || c == '}') {
        if (open_brackets.empty()) return Fail(line_, fmt::format("'{}' closes nothing", c));
        if (open_brackets.back() != c) {
          return Fail(line_, fmt::format("'{}' where '{}' is expected", c, open_brackets.back()));
        }
        open_brackets.pop_back();
      }
      Push(TokenType::kOperator, op);
      return Advance(op.size());
    }
    Fail(line_, fmt::format("unexpected character '{}'", rest_.substr(0, CharacterBytes(rest_, 0))));
  }

  void Name() {
    size_t end = 1;
    while (end < rest_.size() && IsNamePart(rest_[end])) ++end;
    Push(TokenType::kName, rest_.substr(0, end));
    Advance(end);
  }

  void String(char quote) {
    size_t end = 1;
    while (end < rest_.size() && rest_[end] != quote) end += rest_[end] == '\\' ? 2 : 1;
    if (end >= rest_.size()) return Fail(line_, "a string is never closed");
    std::string value;
    if (const char* problem = UnescapeLiteral(rest_.substr(1, end - 1), &value)) return Fail(line_, problem);
    Push(TokenType::kString, value);
    Advance(end + 1);
  }

  // Digits, with single underscores between them; 0 when there is none at `at`.
  size_t DigitRun(size_t at) const {
    size_t end = at;
    while (end < rest_.size() && (IsDigit(rest_[end]) ||
                                  (rest_[end] == '_' && end > at && end + 1 < rest_.size() && IsDigit(rest_[end + 1]))))
      ++end;
    return end - at;
  }

  void Number() {
    if (rest_[0] == '0' && rest_.size() > 2 && Base(rest_[1]) != 10) return Based(Base(rest_[1]));
    size_t end = DigitRun(0);
    bool is_float = false;
    const bool after_dot =
        !tokens_.empty() && tokens_.back().type == TokenType::kOperator && tokens_.back().text == ".";
    if (!after_dot) {
      if (end < rest_.size() && rest_[end] == '.' && DigitRun(end + 1) > 0) {
        end += 1 + DigitRun(end + 1);
        is_float = true;
      }
      if (end < rest_.size() && (rest_[end] == 'e' || rest_[end] == 'E')) {
        size_t exponent = end + 1;
        if (exponent < rest_.size() && (rest_[exponent] == '+' || rest_[exponent] == '-')) ++exponent;
        if (const size_t digits = DigitRun(exponent); digits > 0) {
          end = exponent + digits;
          is_float = true;
        }
      }
    }
    std::string digits(rest_.substr(0, end));
    std::erase(digits, '_');
    if (is_float) {
      Push(TokenType::kFloat, digits).number = std::strtod(digits.c_str(), nullptr);
      return Advance(end);
    }
    if (digits.size() > 1 && digits[0] == '0' && digits.find_first_not_of('0') != std::string::npos) {
      return Fail(line_, fmt::format("'{}' is no number: it begins with 0", digits.substr(0, 40)));
    }
    Integer(digits, 10, end);
  }

  static int Base(char c) {
    switch (c) {
      case 'b':
      case 'B':
        return 2;
      case 'o':
      case 'O':
        return 8;
      case 'x':
      case 'X':
        return 16;
      default:
        return 10;
    }
  }

  void Based(int base) {
    size_t end = 2;
    while (end < rest_.size() && (IsNamePart(rest_[end]))) ++end;
    std::string digits(rest_.substr(2, end - 2));
    std::erase(digits, '_');
    Integer(digits, base, end);
  }

  void Integer(const std::string& digits, int base, size_t bytes) {
    int64_t value = 0;
    const auto [stop, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (code == std::errc::result_out_of_range) return Fail(line_, "an integer does not fit 64 bits");
    if (code != std::errc() || stop != digits.data() + digits.size()) {
      return Fail(line_, fmt::format("'{}' is no number", rest_.substr(0, std::min<size_t>(bytes, 40))));
    }
    Push(TokenType::kInteger, digits).integer = value;
    Advance(bytes);
  }

  const std::string source_;
  std::string_view rest_;
  std::vector<Token> tokens_;
  std::optional<std::string> error_;
  int line_ = 1;
  bool line_starting_ = true;  // the tag before ended with a newline, or there was none
};

}  // namespace

Result<std::vector<Token>> Tokenize(std::string_view source) { return Lexer(NormalizedNewlines(source)).Run(); }

}  // namespace tenfold::jinja
