#include "jinja/from_json.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "jinja/utf8.h"

namespace tenfold::jinja {
namespace {

class Reader {
 public:
  Reader(Run& run, std::string_view text, bool is_data) : run_(run), text_(text), is_data_(is_data) {}

  Value Document() {
    const Value value = Any(0);
    SkipSpace();
    if (!run_.failed() && at_ != text_.size()) return Fail("something follows the value");
    return value;
  }

 private:
  Value Fail(std::string_view what) { return run_.Fail(fmt::format("JSON, byte {}: {}", at_, what)); }

  void SkipSpace() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
  }

  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  Value Any(int depth) {
    SkipSpace();
    if (run_.failed()) return {};
    if (depth > kMaxJsonDepth) return Fail(fmt::format("nested more than {} deep", kMaxJsonDepth));
    switch (Peek()) {
      case '{':
        return Object(depth);
      case '[':
        return Array(depth);
      case '"':
        return String();
      case 't':
        return Word("true", Value::Bool(true, is_data_));
      case 'f':
        return Word("false", Value::Bool(false, is_data_));
      case 'n':
        return Word("null", Value::None());
      default:
        return Number();
    }
  }

  Value Word(std::string_view word, const Value& value) {
    if (!text_.substr(at_).starts_with(word)) return Fail("no JSON value");
    at_ += word.size();
    return value;
  }

  Value Array(int depth) {
    ++at_;
    std::vector<Value> items;
    SkipSpace();
    if (Peek() == ']') {
      ++at_;
      return run_.NewList({});
    }
    while (!run_.failed()) {
      items.push_back(Any(depth + 1));
      if (!run_.Reserve(sizeof(Value))) return {};
      SkipSpace();
      const char c = Peek();
      if (c != ',' && c != ']') return Fail("expected ',' or ']'");
      ++at_;
      if (c == ']') break;
    }
    return run_.failed() ? Value() : run_.NewList(std::move(items));
  }

  Value Object(int depth) {
    ++at_;
    std::vector<std::pair<Value, Value>> entries;
    SkipSpace();
    if (Peek() == '}') {
      ++at_;
      return run_.NewDict({});
    }
    while (!run_.failed()) {
      SkipSpace();
      if (Peek() != '"') return Fail("expected a key");
      const Value key = String();
      SkipSpace();
      if (Peek() != ':') return Fail("expected ':'");
      ++at_;
      entries.emplace_back(key, Any(depth + 1));
      if (!run_.Reserve(2 * sizeof(Value))) return {};
      SkipSpace();
      const char c = Peek();
      if (c != ',' && c != '}') return Fail("expected ',' or '}'");
      ++at_;
      if (c == '}') break;
    }
    return run_.failed() ? Value() : run_.NewDict(std::move(entries));
  }

  Value Number() {
    const size_t begin = at_;
    if (Peek() == '-') ++at_;
    const auto digits = [&] {
      const size_t first = at_;
      while (Peek() >= '0' && Peek() <= '9') ++at_;
      return at_ - first;
    };
    const bool zero = Peek() == '0';
    const size_t whole = digits();
    if (whole == 0 || (zero && whole > 1)) return Fail("no JSON value");
    bool is_float = false;
    if (Peek() == '.') {
      is_float = true;
      ++at_;
      if (digits() == 0) return Fail("no digits behind the point");
    }
    if (Peek() == 'e' || Peek() == 'E') {
      is_float = true;
      ++at_;
      if (Peek() == '+' || Peek() == '-') ++at_;
      if (digits() == 0) return Fail("no digits in the exponent");
    }
    const std::string literal(text_.substr(begin, at_ - begin));
    if (!is_float) {
      int64_t integer = 0;
      const auto [end, code] = std::from_chars(literal.data(), literal.data() + literal.size(), integer);
      if (code == std::errc()) return Value::Int(integer, is_data_);
    }
    return Value::Float(std::strtod(literal.c_str(), nullptr), is_data_);
  }

  int Hex4() {
    int value = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = Peek();
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) return -1;
      value = value * 16 + digit;
    }
    return value;
  }

  bool Escape(std::string& out) {
    static constexpr std::string_view kLetters = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
    const char c = Peek();
    ++at_;
    if (const size_t i = kLetters.find(c); i != std::string_view::npos && c != '\0') {
      out += kMeanings[i];
      return true;
    }
    if (c != 'u') return false;
    int value = Hex4();
    if (value >= 0xD800 && value < 0xDC00 && text_.substr(at_).starts_with("\\u")) {
      at_ += 2;
      const int low = Hex4();
      if (low < 0xDC00 || low > 0xDFFF) return false;
      value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
    }
    if (value < 0 || (value >= 0xD800 && value < 0xE000)) return false;
    AppendUtf8(out, static_cast<char32_t>(value));
    return true;
  }

  Value String() {
    ++at_;
    std::string out;
    while (true) {
      if (at_ >= text_.size()) return Fail("a string is never closed");
      const char c = text_[at_];
      if (static_cast<uint8_t>(c) < 0x20) return Fail("a control character in a string");
      ++at_;
      if (c == '"') break;
      if (c != '\\') {
        out += c;
      } else if (!Escape(out)) {
        return Fail("a wrong escape in a string");
      }
    }
    if (!IsUtf8(out)) return Fail("a string is not UTF-8");
    return run_.NewText(out, is_data_);
  }

  Run& run_;
  const std::string_view text_;
  const bool is_data_;
  size_t at_ = 0;
};

}  // namespace

Value FromJson(Run& run, std::string_view json, bool is_data) { return Reader(run, json, is_data).Document(); }

}  // namespace tenfold::jinja
