#include "jinja/str_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

#include "jinja/format_number.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"
#include "jinja/utf8.h"

namespace tenfold::jinja {
namespace {

// [[fill]align][sign][#][0][width][grouping][.precision][type]; false when something is left over.
bool ParseSpec(std::string_view spec, FieldFormat* out) {
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  const size_t fill = spec.empty() ? 0 : CharacterBytes(spec, 0);
  if (fill > 0 && fill < spec.size() && is_align(spec[fill])) {
    out->fill = std::string(spec.substr(0, fill));
    out->align = spec[fill];
    spec.remove_prefix(fill + 1);
  } else if (!spec.empty() && is_align(spec[0])) {
    out->align = spec[0];
    spec.remove_prefix(1);
  }
  const auto take = [&](std::string_view any_of) {
    if (spec.empty() || any_of.find(spec[0]) == std::string_view::npos) return '\0';
    const char c = spec[0];
    spec.remove_prefix(1);
    return c;
  };
  const auto number = [&](int64_t otherwise) {
    int64_t value = 0;
    const auto [end, code] = std::from_chars(spec.data(), spec.data() + spec.size(), value);
    if (code != std::errc() || value < 0 || value > (int64_t{1} << 40)) return otherwise;
    spec.remove_prefix(static_cast<size_t>(end - spec.data()));
    return value;
  };
  if (const char sign = take("+- ")) out->sign = sign;
  out->alternate = take("#") != '\0';
  out->zero = take("0") != '\0';
  out->width = number(0);
  out->grouping = take(",_");
  if (take(".") != '\0' && (out->precision = number(-1)) < 0) return false;
  out->type = take("bcdeEfFgGnosxX%");
  return spec.empty();
}

class Formatter {
 public:
  Formatter(Run& run, const Text& format, const CallArguments& arguments)
      : run_(run), text_(format), arguments_(arguments) {}

  Value Format() {
    const std::string& bytes = text_.bytes();
    size_t at = 0;
    while (at < bytes.size() && !run_.failed()) {
      const size_t brace = std::min(bytes.find_first_of("{}", at), bytes.size());
      Put(text_.marked.Slice(at, brace));
      if (brace == bytes.size()) break;
      if (brace + 1 < bytes.size() && bytes[brace + 1] == bytes[brace]) {
        Put(text_.marked.Slice(brace, brace + 1));
        at = brace + 2;
        continue;
      }
      if (bytes[brace] == '}') return Fail("a '}' closes nothing");
      const size_t end = bytes.find('}', brace);
      if (end == std::string::npos) return Fail("a '{' is never closed");
      const std::string field = bytes.substr(brace + 1, end - brace - 1);
      if (field.find('{') != std::string::npos) return Fail("a field inside a field is not supported");
      Field(field);
      at = end + 1;
    }
    return run_.failed() ? Value() : run_.NewText(std::move(out_), text_.is_markup);
  }

 private:
  Value Fail(std::string_view what) { return run_.Fail(fmt::format("str.format: {}", what)); }
  void Put(const MarkedText& text) {
    if (run_.Reserve(text.size() + text.data().size() * sizeof(ByteRange))) out_.Append(text);
  }

  void Field(std::string_view field) {
    const size_t colon = std::min(field.find(':'), field.size());
    const std::string_view spec = colon < field.size() ? field.substr(colon + 1) : "";
    std::string_view name = field.substr(0, colon);
    char conversion = '\0';
    if (const size_t bang = name.find('!'); bang != std::string_view::npos) {
      if (bang + 2 != name.size()) return (void)Fail("'!' needs one of r, s, a");
      conversion = name[bang + 1];
      name = name.substr(0, bang);
    }
    Value value = Lookup(name);
    if (run_.failed()) return;
    if (conversion == 's') value = run_.NewText(ToText(run_, value));
    if (conversion == 'r' || conversion == 'a') value = run_.NewText(Repr(run_, value));
    if (conversion != '\0' && conversion != 's' && conversion != 'r' && conversion != 'a') {
      return (void)Fail("'!' needs one of r, s, a");
    }
    FieldFormat format;
    if (!ParseSpec(spec, &format)) return (void)Fail(fmt::format("'{}' is no format", spec.substr(0, 100)));
    MarkedText text = Converted(format, value);
    if (text_.is_markup && !(value.Is(Kind::kText) && value.text->is_markup)) text = EscapeMarkup(run_, text);
    Put(text);
  }

  // name, 0, or nothing for the next one; then .key and [key] as often as wanted.
  Value Lookup(std::string_view name) {
    const size_t end = std::min(name.find_first_of(".["), name.size());
    const std::string_view first = name.substr(0, end);
    Value value;
    size_t index = 0;
    const auto [stop, code] = std::from_chars(first.data(), first.data() + first.size(), index);
    const bool is_index = !first.empty() && code == std::errc() && stop == first.data() + first.size();
    if (first.empty() || is_index) {
      if (first.empty()) index = next_++;
      if (index >= arguments_.positional.size()) return Fail("fewer values than fields");
      value = arguments_.positional[index];
    } else {
      const auto it = std::find_if(arguments_.named.begin(), arguments_.named.end(),
                                   [&](const auto& named) { return named.first == first; });
      if (it == arguments_.named.end()) return Fail(fmt::format("there is no '{}'", first.substr(0, 100)));
      value = it->second;
    }
    return name.size() == end ? value : Fail("'.' and '[' in a field are not supported; look the value up before");
  }

  MarkedText Converted(FieldFormat format, const Value& value) {
    if (format.zero && format.align == '\0' && !value.IsNumber()) {
      format.fill[0] = '0';
      format.align = '<';
    }
    if (value.Is(Kind::kUndefined)) return PadText(run_, format, MarkedText(), '<');
    const bool is_bool_text = value.Is(Kind::kBool) && (format.type == '\0' || format.type == 's');
    if (value.Is(Kind::kText) || is_bool_text || !value.IsNumber()) {
      if (format.type != '\0' && format.type != 's') return Wrong(format, value);
      if (format.sign != '-' || format.align == '=' || format.grouping != '\0') return Wrong(format, value);
      const bool has_format = format.width > 0 || format.precision >= 0 || format.align != '\0';
      if (has_format && !value.Is(Kind::kText) && !is_bool_text) return Wrong(format, value);
      MarkedText text = ToText(run_, value);
      if (format.precision >= 0) {
        text = text.Slice(0, ByteOffset(text.bytes(), static_cast<size_t>(format.precision)));
      }
      return PadText(run_, format, text, '<');
    }
    if (format.precision > kMaxPrecision) {
      Fail("a precision is too large");
      return {};
    }
    const bool as_float =
        std::string_view("eEfFgG%").find(format.type) != std::string_view::npos && format.type != '\0';
    if (value.Is(Kind::kFloat) || as_float) return Real(format, value);
    return Integer(format, value);
  }

  MarkedText Wrong(const FieldFormat& format, const Value& value) {
    Fail(fmt::format("the format{} does not fit {}",
                     format.type == '\0' ? std::string() : fmt::format(" '{}'", format.type), TypeName(value)));
    return {};
  }

  MarkedText Integer(const FieldFormat& format, const Value& value) {
    if (format.precision >= 0 || format.type == 's') return Wrong(format, value);
    const int64_t integer = value.AsInteger();
    if (format.type == 'c') {
      if (integer < 0 || integer > 0x10FFFF || (integer >= 0xD800 && integer < 0xE000)) return Wrong(format, value);
      std::string text;
      AppendUtf8(text, static_cast<char32_t>(integer));
      return PadText(run_, format, MarkedText(text, value.is_data), '<');
    }
    const char type = format.type;
    const int base = type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
    std::string digits = Digits(Magnitude(integer), base, type == 'X');
    digits = Grouped(digits, format.grouping, base == 10 ? 3 : 4);
    const std::string prefix = format.alternate && base != 10 ? std::string("0") + type : "";
    return PadNumber(run_, format, SignText(integer < 0, format.sign), prefix, digits, value.is_data);
  }

  MarkedText Real(const FieldFormat& format, const Value& value) {
    const double number = value.AsDouble();
    std::string digits;
    if (format.type == '\0' && format.precision < 0) {
      digits = FloatText(std::abs(number));
    } else if (format.type == '%') {
      digits = FloatDigits(std::abs(number) * 100, 'f', format.precision < 0 ? 6 : format.precision, false) + "%";
    } else if (std::string_view("eEfFgGn").find(format.type) != std::string_view::npos) {
      const char type = format.type == '\0' || format.type == 'n' ? 'g' : format.type;
      digits = FloatDigits(std::abs(number), type, format.precision < 0 ? 6 : format.precision, format.alternate);
    } else {
      return Wrong(format, value);
    }
    digits = Grouped(digits, format.grouping, 3);
    return PadNumber(run_, format, SignText(std::signbit(number) && !std::isnan(number), format.sign), "", digits,
                     value.is_data);
  }

  Run& run_;
  const Text& text_;
  const CallArguments& arguments_;
  size_t next_ = 0;
  MarkedText out_;
};

}  // namespace

Value StrFormat(Run& run, const Text& format, const CallArguments& arguments) {
  return Formatter(run, format, arguments).Format();
}

}  // namespace tenfold::jinja
