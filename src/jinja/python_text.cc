#include "jinja/python_text.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "jinja/operators.h"
#include "jinja/utf8.h"

namespace tenfold::jinja {
namespace {

bool IsPrintable(char32_t c) {
  return c >= 0x20 && c != 0x7F && !(c >= 0x80 && c <= 0xA0) && c != 0xAD && !(c > 0xFF && IsSpace(c)) &&
         !(c >= 0x200B && c <= 0x200F) && !(c >= 0x202A && c <= 0x202E) && !(c >= 0x2060 && c <= 0x206F) &&
         !(c >= 0xE000 && c <= 0xF8FF) && c != 0xFEFF && c < 0xE0000;
}

// The quoted form of a text; all of it data where any of it was.
std::string Quoted(std::string_view text) {
  const bool single = text.find('\'') == std::string_view::npos || text.find('"') != std::string_view::npos;
  const char quote = single ? '\'' : '"';
  std::string out(1, quote);
  for (size_t at = 0; at < text.size(); at += CharacterBytes(text, at)) {
    const char32_t c = CodePointAt(text, at);
    if (c == '\\' || c == static_cast<char32_t>(quote)) {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else if (IsPrintable(c)) {
      AppendUtf8(out, c);
    } else if (c <= 0xFF) {
      out += fmt::format("\\x{:02x}", static_cast<uint32_t>(c));
    } else {
      out += c <= 0xFFFF ? fmt::format("\\u{:04x}", static_cast<uint32_t>(c))
                         : fmt::format("\\U{:08x}", static_cast<uint32_t>(c));
    }
  }
  return out + quote;
}

class Writer {
 public:
  explicit Writer(Run& run) : run_(run) {}

  MarkedText Take() && { return std::move(out_); }

  void Write(const Value& v, int depth) {
    if (!run_.Charge(1)) return;
    if (depth > kMaxValueDepth) {
      run_.Fail(fmt::format("values nested more than {} deep", kMaxValueDepth));
      return;
    }
    switch (v.kind) {
      case Kind::kMissing:
      case Kind::kUndefined:
        return Put("Undefined");
      case Kind::kNone:
        return Put("None");
      case Kind::kBool:
        return Put(v.boolean ? "True" : "False");
      case Kind::kInt:
        return Put(fmt::format("{}", v.integer), v.is_data);
      case Kind::kFloat:
        return Put(FloatText(v.number), v.is_data);
      case Kind::kText:
        return WriteText(*v.text);
      case Kind::kList:
        return Items(v.sequence->items, "[", "]", depth);
      case Kind::kTuple:
        return Items(v.sequence->items, "(", v.sequence->items.size() == 1 ? ",)" : ")", depth);
      case Kind::kView:
        Put(v.sequence->name);
        return Items(v.sequence->items, "([", "])", depth);
      case Kind::kRange: {
        const int64_t* r = v.sequence->range;
        return Put(r[2] == 1 ? fmt::format("range({}, {})", r[0], r[1])
                             : fmt::format("range({}, {}, {})", r[0], r[1], r[2]));
      }
      case Kind::kDict:
        return WriteDict(*v.dict, depth);
      case Kind::kNamespace:
        return WriteNamespace(*v.space, depth);
      case Kind::kGenerator:
        return Put(fmt::format("<generator object {}>", v.sequence->name));
      case Kind::kCallable:
        return Put("<function>");
      case Kind::kLoop:
        return Put("<LoopContext>");
    }
  }

 private:
  void Put(std::string_view text, bool is_data = false) {
    if (run_.Reserve(text.size())) out_.Append(text, is_data);
  }

  void WriteText(const Text& text) {
    if (!run_.ChargeBytes(text.bytes().size())) return;
    const std::string quoted = Quoted(text.bytes());
    if (text.is_markup) Put("Markup(");
    Put(quoted, text.marked.has_data());
    if (text.is_markup) Put(")");
  }

  void Items(const std::vector<Value>& items, std::string_view open, std::string_view close, int depth) {
    Put(open);
    for (size_t i = 0; i < items.size() && !run_.failed(); ++i) {
      if (i > 0) Put(", ");
      Write(items[i], depth + 1);
    }
    Put(close);
  }

  void WriteDict(const Dict& dict, int depth) {
    Put("{");
    for (size_t i = 0; i < dict.entries.size() && !run_.failed(); ++i) {
      if (i > 0) Put(", ");
      Write(dict.entries[i].first, depth + 1);
      Put(": ");
      Write(dict.entries[i].second, depth + 1);
    }
    Put("}");
  }

  void WriteNamespace(const Namespace& space, int depth) {
    Put("<Namespace {");
    bool first = true;
    for (const auto& [name, value] : space.attributes) {
      if (run_.failed()) return;
      if (!first) Put(", ");
      first = false;
      Put(Quoted(name), true);
      Put(": ");
      Write(value, depth + 1);
    }
    Put("}>");
  }

  Run& run_;
  MarkedText out_;
};

}  // namespace

MarkedText ToText(Run& run, const Value& value) {
  if (value.Is(Kind::kText)) {
    if (!run.Reserve(value.text->bytes().size())) return {};
    return value.text->marked;
  }
  if (value.Is(Kind::kUndefined) || value.Is(Kind::kMissing)) return {};
  return Repr(run, value);
}

MarkedText Repr(Run& run, const Value& value) {
  Writer writer(run);
  writer.Write(value, 0);
  return run.failed() ? MarkedText() : std::move(writer).Take();
}

std::string FloatText(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto [end, code] = std::to_chars(buffer, buffer + sizeof(buffer), number, std::chars_format::scientific);
  std::string_view text(buffer, static_cast<size_t>(end - buffer));  // "-d.ddde+XX"
  const std::string sign = text.starts_with('-') ? "-" : "";
  text.remove_prefix(sign.size());
  const size_t e = text.find('e');
  std::string digits(text.substr(0, 1));
  if (e > 2) digits += text.substr(2, e - 2);
  int exponent = 0;
  const char* exponent_begin = text.data() + e + (text[e + 1] == '+' ? 2 : 1);
  std::from_chars(exponent_begin, text.data() + text.size(), exponent);
  if (exponent < -4 || exponent >= 16) {
    const std::string fraction = digits.size() > 1 ? "." + digits.substr(1) : "";
    return fmt::format("{}{}{}e{}{:02}", sign, digits[0], fraction, exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) return sign + digits + std::string(whole - digits.size(), '0') + ".0";
  return sign + digits.substr(0, whole) + "." + digits.substr(whole);
}

std::string WhyUndefined(const Value& value) {
  return value.text == nullptr ? "a value is undefined" : value.text->bytes();
}

}  // namespace tenfold::jinja
