#include "jinja/to_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "jinja/operators.h"
#include "jinja/python_text.h"
#include "jinja/utf8.h"

namespace tenfold::jinja {
namespace {

std::string EscapedUnit(uint32_t unit) { return fmt::format("\\u{:04x}", unit); }

std::string Quoted(std::string_view text, bool ascii) {
  std::string out = "\"";
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    const size_t bytes = static_cast<uint8_t>(c) < 0x80 ? 1 : CharacterBytes(text, at);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (bytes == 1 && static_cast<uint8_t>(c) < 0x20) {
      static constexpr std::string_view kShort = "\b\f\n\r\t", kLetters = "bfnrt";
      const size_t i = kShort.find(c);
      out += i != std::string_view::npos && c != '\0' ? std::string("\\") + kLetters[i]
                                                      : EscapedUnit(static_cast<uint8_t>(c));
    } else if (bytes == 1 || !ascii) {
      out += c == '\x7f' && ascii ? EscapedUnit(0x7F) : std::string(text.substr(at, bytes));
    } else {
      const auto code = static_cast<uint32_t>(CodePointAt(text, at));
      out += code < 0x10000 ? EscapedUnit(code)
                            : EscapedUnit(0xD800 + ((code - 0x10000) >> 10)) + EscapedUnit(0xDC00 + (code & 0x3FF));
    }
    at += bytes;
  }
  return out + '"';
}

std::string JsonFloat(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
  return FloatText(number);
}

class Writer {
 public:
  Writer(Run& run, const JsonStyle& style) : run_(run), style_(style) {}

  MarkedText Take() && { return std::move(out_); }

  void Write(const Value& v, int depth) {
    if (!run_.Charge(1)) return;
    if (depth > kMaxValueDepth) {
      run_.Fail(fmt::format("values nested more than {} deep", kMaxValueDepth));
      return;
    }
    switch (v.kind) {
      case Kind::kNone:
        return Put("null");
      case Kind::kBool:
        return Put(v.boolean ? "true" : "false");
      case Kind::kInt:
        return Put(fmt::format("{}", v.integer), v.is_data);
      case Kind::kFloat:
        return Put(JsonFloat(v.number), v.is_data);
      case Kind::kText:
        return PutText(*v.text);
      case Kind::kList:
      case Kind::kTuple:
        return Array(v.sequence->items, depth);
      case Kind::kDict:
        return Object(*v.dict, depth);
      case Kind::kUndefined:
        run_.Fail(WhyUndefined(v));
        return;
      default:
        run_.Fail(fmt::format("a {} has no form in JSON", TypeName(v)));
    }
  }

 private:
  void Put(std::string_view text, bool is_data = false) {
    if (run_.Reserve(text.size())) out_.Append(text, is_data);
  }

  void PutText(const Text& text) {
    if (run_.ChargeBytes(text.bytes().size())) Put(Quoted(text.bytes(), style_.ascii), text.marked.has_data());
  }

  void Break(int depth) {
    if (!style_.indent) return;
    if (style_.indent->size() * static_cast<size_t>(depth) > size_t{1} << 20) {
      run_.Fail("tojson indents by more than a megabyte");
      return;
    }
    std::string line = "\n";
    for (int i = 0; i < depth; ++i) line += *style_.indent;
    Put(line);
  }

  void Array(const std::vector<Value>& items, int depth) {
    if (items.empty()) return Put("[]");
    Put("[");
    for (size_t i = 0; i < items.size() && !run_.failed(); ++i) {
      if (i > 0) Put(style_.item_separator);
      Break(depth + 1);
      Write(items[i], depth + 1);
    }
    Break(depth);
    Put("]");
  }

  void Object(const Dict& dict, int depth) {
    if (dict.entries.empty()) return Put("{}");
    std::vector<std::pair<Value, Value>> sorted;
    if (style_.sort_keys) {
      sorted = dict.entries;
      for (const auto& [key, value] : sorted) {
        if (key.kind != sorted[0].first.kind) run_.Fail("sort_keys needs keys of one type");
      }
      if (!run_.Reserve(sorted.size() * 2 * sizeof(Value))) return;
      std::stable_sort(sorted.begin(), sorted.end(),
                       [](const auto& a, const auto& b) { return CompareKeys(a.first, b.first) < 0; });
    }
    Put("{");
    bool first = true;
    for (const auto& [key, value] : style_.sort_keys ? sorted : dict.entries) {
      if (run_.failed()) return;
      if (!first) Put(style_.item_separator);
      first = false;
      Break(depth + 1);
      Key(key);
      Put(style_.key_separator);
      Write(value, depth + 1);
    }
    Break(depth);
    Put("}");
  }

  void Key(const Value& key) {
    if (key.Is(Kind::kText)) return PutText(*key.text);
    if (key.Is(Kind::kTuple) || key.Is(Kind::kUndefined)) {
      run_.Fail(fmt::format("a {} cannot be a key in JSON", TypeName(key)));
      return;
    }
    Put("\"");
    Write(key, 0);
    Put("\"");
  }

  Run& run_;
  const JsonStyle& style_;
  MarkedText out_;
};

}  // namespace

MarkedText ToJson(Run& run, const Value& value, const JsonStyle& style) {
  Writer writer(run, style);
  writer.Write(value, 0);
  return run.failed() ? MarkedText() : std::move(writer).Take();
}

}  // namespace tenfold::jinja
