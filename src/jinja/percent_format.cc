#include "jinja/percent_format.h"

#include <fmt/format.h>

#include <cmath>
#include <string>

#include "jinja/format_number.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"
#include "jinja/utf8.h"

namespace tenfold::jinja {
namespace {

class Formatter {
 public:
  Formatter(Run& run, const Text& format, const Value& values) : run_(run), text_(format), values_(values) {
    if (values.Is(Kind::kTuple)) {
      rest_ = values.sequence->items;
    } else {
      rest_ = {values};
    }
  }

  Value Format() {
    const std::string& bytes = text_.bytes();
    size_t plain = 0;
    while ((at_ = bytes.find('%', at_)) != std::string::npos && !run_.failed()) {
      Put(text_.marked.Slice(plain, at_));
      ++at_;
      Field();
      plain = at_;
    }
    if (run_.failed()) return {};
    Put(text_.marked.Slice(plain, bytes.size()));
    const bool takes_names = values_.Is(Kind::kDict);
    if (next_ < rest_.size() && !takes_names) return run_.Fail("% formatting: more values than fields");
    return run_.NewText(std::move(out_), text_.is_markup);
  }

 private:
  void Put(const MarkedText& text) {
    if (run_.Reserve(text.size() + text.data().size() * sizeof(ByteRange))) out_.Append(text);
  }
  char Peek() const { return at_ < text_.bytes().size() ? text_.bytes()[at_] : '\0'; }
  Value Fail(std::string_view what) { return run_.Fail(fmt::format("% formatting: {}", what)); }

  Value Next() {
    if (named_) return named_value_;
    if (next_ >= rest_.size()) return Fail("fewer values than fields");
    return rest_[next_++];
  }

  int64_t Number() {
    if (Peek() == '*') {
      ++at_;
      const Value value = Next();
      if (!value.IsInteger()) Fail("'*' needs an integer");
      return run_.failed() ? 0 : value.AsInteger();
    }
    int64_t number = 0;
    for (; Peek() >= '0' && Peek() <= '9' && number < (int64_t{1} << 40); ++at_) number = number * 10 + (Peek() - '0');
    return number;
  }

  void Name() {
    const std::string& bytes = text_.bytes();
    const size_t begin = ++at_;
    for (int depth = 1; at_ < bytes.size(); ++at_) {
      depth += bytes[at_] == '(' ? 1 : bytes[at_] == ')' ? -1 : 0;
      if (depth == 0) break;
    }
    if (at_ >= bytes.size()) return (void)Fail("'(' is never closed");
    const std::string name = bytes.substr(begin, at_++ - begin);
    if (!values_.Is(Kind::kDict)) return (void)Fail("a named field needs a dict");
    const Value* found = Find(*values_.dict, name);
    if (found == nullptr) return (void)Fail(fmt::format("there is no '{}'", name.substr(0, 100)));
    named_ = true;
    named_value_ = *found;
  }

  void Field() {
    named_ = false;
    FieldFormat format;
    if (Peek() == '(') Name();
    for (; std::string_view("#0- +").find(Peek()) != std::string_view::npos && Peek() != '\0'; ++at_) {
      const char flag = Peek();
      if (flag == '#') format.alternate = true;
      if (flag == '0') format.zero = true;
      if (flag == '-') format.align = '<';
      if (flag == '+' || (flag == ' ' && format.sign != '+')) format.sign = flag;
    }
    format.width = Number();
    if (format.width < 0) {
      format.align = '<';
      format.width = -format.width;
    }
    if (Peek() == '.') {
      ++at_;
      format.precision = std::max<int64_t>(0, Number());
    }
    if (Peek() == 'h' || Peek() == 'l' || Peek() == 'L') ++at_;
    format.type = Peek();
    if (run_.failed()) return;
    if (at_ >= text_.bytes().size()) return (void)Fail("a field is incomplete");
    ++at_;
    if (format.type == '%') return Put(MarkedText("%", false));
    const Value value = Next();
    if (!run_.failed()) Convert(format, value);
  }

  void Convert(FieldFormat& format, const Value& value) {
    switch (format.type) {
      case 's':
      case 'r':
      case 'a': {
        MarkedText text = format.type == 's' ? ToText(run_, value) : Repr(run_, value);
        if (text_.is_markup && format.type == 's' && !(value.Is(Kind::kText) && value.text->is_markup)) {
          text = EscapeMarkup(run_, text);
        }
        if (format.precision >= 0) {
          text = text.Slice(0, ByteOffset(text.bytes(), static_cast<size_t>(format.precision)));
        }
        return Put(PadText(run_, format, text, '>'));
      }
      case 'c':
        return Character(format, value);
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o':
        return Integer(format, value);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        return Real(format, value);
      default:
        Fail(fmt::format("unknown field '%{}'", format.type));
    }
  }

  void Character(const FieldFormat& format, const Value& value) {
    if (value.Is(Kind::kText) && value.text->characters == 1)
      return Put(PadText(run_, format, value.text->marked, '>'));
    if (!value.IsInteger()) return (void)Fail("%c needs a character or an integer");
    const int64_t code = value.AsInteger();
    if (code < 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return (void)Fail("%c: no such character");
    std::string text;
    AppendUtf8(text, static_cast<char32_t>(code));
    Put(PadText(run_, format, MarkedText(text, value.is_data), '>'));
  }

  void Integer(const FieldFormat& format, const Value& value) {
    int64_t integer = 0;
    const bool decimal = format.type == 'd' || format.type == 'i' || format.type == 'u';
    if (value.IsInteger()) {
      integer = value.AsInteger();
    } else if (value.Is(Kind::kFloat) && decimal && std::abs(value.number) < 9.2e18) {
      integer = static_cast<int64_t>(value.number);
    } else {
      return (void)Fail(value.Is(Kind::kUndefined)
                            ? WhyUndefined(value)
                            : fmt::format("%{} needs an integer, not {}", format.type, TypeName(value)));
    }
    const int base = decimal ? 10 : format.type == 'o' ? 8 : 16;
    std::string digits = Digits(Magnitude(integer), base, format.type == 'X');
    if (format.precision > kMaxPrecision) return (void)Fail("a precision is too large");
    if (static_cast<int64_t>(digits.size()) < format.precision) {
      digits.insert(0, static_cast<size_t>(format.precision) - digits.size(), '0');
    }
    const std::string prefix = !format.alternate || decimal ? "" : std::string("0") + format.type;
    Put(PadNumber(run_, format, SignText(integer < 0, format.sign), prefix, digits, value.is_data));
  }

  void Real(const FieldFormat& format, const Value& value) {
    if (!value.IsNumber()) {
      return (void)Fail(value.Is(Kind::kUndefined)
                            ? WhyUndefined(value)
                            : fmt::format("%{} needs a number, not {}", format.type, TypeName(value)));
    }
    const int64_t precision = format.precision < 0 ? 6 : format.precision;
    if (precision > kMaxPrecision) return (void)Fail("a precision is too large");
    const double number = value.AsDouble();
    const std::string digits = FloatDigits(std::abs(number), format.type, precision, format.alternate);
    Put(PadNumber(run_, format, SignText(std::signbit(number) && !std::isnan(number), format.sign), "", digits,
                  value.is_data));
  }

  Run& run_;
  const Text& text_;
  const Value values_;
  std::vector<Value> rest_;
  size_t next_ = 0;
  size_t at_ = 0;
  bool named_ = false;
  Value named_value_{};
  MarkedText out_;
};

}  // namespace

Value PercentFormat(Run& run, const Text& format, const Value& values) {
  return Formatter(run, format, values).Format();
}

}  // namespace tenfold::jinja
