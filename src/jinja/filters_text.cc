// Filters whose result is text.
#include <fmt/format.h>

#include <algorithm>

#include "jinja/casing.h"
#include "jinja/evaluator.h"
#include "jinja/filters.h"
#include "jinja/operators.h"
#include "jinja/percent_format.h"
#include "jinja/python_text.h"
#include "jinja/text_search.h"
#include "jinja/to_json.h"
#include "jinja/utf8.h"

namespace tenfold::jinja {
namespace {

bool IsMarkup(const Value& v) { return v.Is(Kind::kText) && v.text->is_markup; }
bool Given(const FilterCall& c, size_t i) { return !c.arguments[i].Is(Kind::kMissing); }
bool GivenNotNone(const FilterCall& c, size_t i) { return Given(c, i) && !c.arguments[i].Is(Kind::kNone); }

int64_t IntegerAt(const FilterCall& c, size_t i, int64_t otherwise) {
  if (!Given(c, i)) return otherwise;
  if (c.arguments[i].IsInteger()) return c.arguments[i].AsInteger();
  c.run.Fail(fmt::format("expected an integer, not {}", TypeName(c.arguments[i])));
  return otherwise;
}

template <MarkedText (*change)(const MarkedText&)>
Value Changed(const FilterCall& c) {
  return c.run.NewText(change(ToText(c.run, c.subject)), IsMarkup(c.subject));
}

Value Trim(const FilterCall& c) {
  const MarkedText text = ToText(c.run, c.subject);
  if (!GivenNotNone(c, 0)) return c.run.NewText(Stripped(text, End::kBoth), IsMarkup(c.subject));
  if (!c.arguments[0].Is(Kind::kText)) return c.run.Fail("trim: expected a string of characters");
  const std::string& chars = c.arguments[0].text->bytes();
  if (!c.run.Charge(text.size() / 8 * (chars.size() / 8 + 1))) return {};
  return c.run.NewText(Stripped(text, chars, End::kBoth), IsMarkup(c.subject));
}

Value Replace(const FilterCall& c) {
  const int64_t count = GivenNotNone(c, 2) ? IntegerAt(c, 2, -1) : -1;
  const MarkedText text = ToText(c.run, c.subject), from = ToText(c.run, c.arguments[0]),
                   to = ToText(c.run, c.arguments[1]);
  return c.run.failed() ? Value() : c.run.NewText(Replaced(c.run, text, from, to, count));
}

Value Center(const FilterCall& c) {
  const MarkedText text = ToText(c.run, c.subject);
  const int64_t width = IntegerAt(c, 0, 80);
  const int64_t missing = width - static_cast<int64_t>(CountCharacters(text.bytes()));
  if (missing <= 0) return c.run.NewText(text, IsMarkup(c.subject));
  if (!c.run.Reserve(static_cast<uint64_t>(missing))) return {};
  const int64_t left = missing / 2 + (missing & width & 1);  // as str.center
  MarkedText out(std::string(static_cast<size_t>(left), ' '), false);
  out.Append(text);
  out.Append(std::string(static_cast<size_t>(missing - left), ' '), false);
  return c.run.NewText(std::move(out), IsMarkup(c.subject));
}

Value Indent(const FilterCall& c) {
  if (!c.subject.Is(Kind::kText)) {
    return c.run.Fail(c.subject.Is(Kind::kUndefined)
                          ? WhyUndefined(c.subject)
                          : fmt::format("indent needs a string, not {}", TypeName(c.subject)));
  }
  MarkedText indention("    ", false);
  if (Given(c, 0) && c.arguments[0].Is(Kind::kText)) {
    indention = c.arguments[0].text->marked;
  } else if (const int64_t width = IntegerAt(c, 0, 4); width != 4) {
    if (!c.run.Reserve(static_cast<uint64_t>(std::max<int64_t>(0, width)))) return {};
    indention = MarkedText(std::string(static_cast<size_t>(std::max<int64_t>(0, width)), ' '), false);
  }
  const bool first = Given(c, 1) && Truthy(c.arguments[1]), blank = Given(c, 2) && Truthy(c.arguments[2]);
  MarkedText text = c.subject.text->marked;
  text.Append("\n", false);
  const std::vector<MarkedText> lines = SplitLines(c.run, text, /*keep_ends=*/false);
  MarkedText out;
  for (size_t i = 0; i < lines.size() && !c.run.failed(); ++i) {
    const bool indents = i == 0 ? first : blank || !lines[i].empty();
    if (!c.run.Reserve(lines[i].size() + 1 + (indents ? indention.memory_bytes() : 0))) return {};
    if (i > 0) out.Append("\n", false);
    if (indents) out.Append(indention);
    out.Append(lines[i]);
  }
  return c.run.NewText(std::move(out), c.subject.text->is_markup);
}

Value Truncate(const FilterCall& c) {
  const int64_t length = IntegerAt(c, 0, 255);
  const bool kill_words = Given(c, 1) && Truthy(c.arguments[1]);
  const MarkedText end = Given(c, 2) ? ToText(c.run, c.arguments[2]) : MarkedText("...", false);
  const int64_t leeway = GivenNotNone(c, 3) ? IntegerAt(c, 3, 5) : 5;
  const int64_t end_length = static_cast<int64_t>(CountCharacters(end.bytes()));
  if (length < end_length) return c.run.Fail(fmt::format("truncate needs a length of at least {}", end_length));
  if (leeway < 0) return c.run.Fail("truncate needs a leeway of at least 0");
  const int64_t size = LengthOf(c.subject);
  if (size < 0) return c.run.Fail(fmt::format("a {} has no length", TypeName(c.subject)));
  if (size <= length + leeway) return c.subject;
  if (!c.subject.Is(Kind::kText)) return c.run.Fail(fmt::format("truncate cannot cut a {}", TypeName(c.subject)));
  const MarkedText& text = c.subject.text->marked;
  MarkedText out = text.Slice(0, ByteOffset(text.bytes(), static_cast<size_t>(length - end_length)));
  if (!kill_words) {
    const size_t space = out.bytes().rfind(' ');
    if (space != std::string::npos) out = out.Slice(0, space);
  }
  out.Append(end);
  return c.run.NewText(std::move(out), c.subject.text->is_markup);
}

Value Wordcount(const FilterCall& c) {
  const MarkedText text = ToText(c.run, c.subject);
  int64_t words = 0;
  bool inside = false;
  for (size_t at = 0; at < text.size(); at += CharacterBytes(text.bytes(), at)) {
    const char32_t code = CodePointAt(text.bytes(), at);
    const bool is_word = IsAlnum(code) || code == '_';
    words += is_word && !inside ? 1 : 0;
    inside = is_word;
  }
  return Value::Int(words);
}

Value String(const FilterCall& c) {
  return c.subject.Is(Kind::kText) ? c.subject : c.run.NewText(ToText(c.run, c.subject));
}

Value Safe(const FilterCall& c) { return c.run.NewText(ToText(c.run, c.subject), /*is_markup=*/true); }

Value Escape(const FilterCall& c) {
  if (IsMarkup(c.subject)) return c.subject;
  return c.run.NewText(EscapeMarkup(c.run, ToText(c.run, c.subject)), /*is_markup=*/true);
}

Value ForceEscape(const FilterCall& c) {
  return c.run.NewText(EscapeMarkup(c.run, ToText(c.run, c.subject)), /*is_markup=*/true);
}

Value Format(const FilterCall& c) {
  const CallArguments& raw = c.raw;
  if (!raw.positional.empty() && !raw.named.empty()) {
    return c.run.Fail("format takes values with names or without, not both");
  }
  Value values = c.run.NewTuple(raw.positional);
  if (!raw.named.empty()) {
    std::vector<std::pair<Value, Value>> entries;
    for (const auto& [name, value] : raw.named) entries.emplace_back(c.run.NewText(name), value);
    values = c.run.NewDict(std::move(entries));
  }
  const Value text = String(c);
  return c.run.failed() ? Value() : PercentFormat(c.run, *text.text, values);
}

// Everything but letters, digits and _.-~ (and '/', in paths) as %XX.
void Quote(const MarkedText& text, bool is_query, MarkedText* out) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text.bytes()[i]);
    const char c = text.bytes()[i];
    const bool plain =
        (byte < 0x80 && IsAlnum(byte)) || c == '_' || c == '.' || c == '-' || c == '~' || (c == '/' && !is_query);
    const bool is_data = text.has_data();
    if (plain) {
      out->Append(std::string_view(&c, 1), is_data);
    } else if (c == ' ' && is_query) {
      out->Append("+", is_data);
    } else {
      const char escaped[3] = {'%', kHex[byte >> 4], kHex[byte & 15]};
      out->Append(std::string_view(escaped, 3), is_data);
    }
  }
}

Value UrlEncode(const FilterCall& c) {
  MarkedText out;
  const auto put = [&](const Value& v, bool is_query) {
    const MarkedText text = ToText(c.run, v);
    if (c.run.Reserve(text.size() * 3)) Quote(text, is_query, &out);
  };
  if (c.subject.Is(Kind::kText) || !IsIterable(c.subject)) {
    put(c.subject, false);
    return c.run.NewText(std::move(out));
  }
  std::vector<Value> pairs;
  if (c.subject.Is(Kind::kDict)) {
    for (const auto& [key, value] : c.subject.dict->entries) pairs.push_back(c.run.NewTuple({key, value}));
  } else if (!Iterate(c.run, c.subject, &pairs)) {
    return {};
  }
  for (const Value& item : pairs) {
    std::vector<Value> pair;
    if (!Iterate(c.run, item, &pair)) return {};
    if (pair.size() != 2) return c.run.Fail("urlencode needs pairs");
    if (!out.empty()) out.Append("&", false);
    put(pair[0], true);
    out.Append("=", false);
    put(pair[1], true);
  }
  return c.run.NewText(std::move(out));
}

Value Tojson(const FilterCall& c) {
  JsonStyle style;
  style.ascii = Given(c, 0) && Truthy(c.arguments[0]);
  if (GivenNotNone(c, 1)) {
    if (c.arguments[1].Is(Kind::kText)) {
      style.indent = c.arguments[1].text->bytes();
    } else {
      const int64_t width = IntegerAt(c, 1, 0);
      if (width > 1000) return c.run.Fail("tojson: an indent of more than 1000");
      style.indent = std::string(static_cast<size_t>(std::max<int64_t>(0, width)), ' ');
    }
    style.item_separator.resize(1);  // no space where lines end
  }
  if (GivenNotNone(c, 2)) {
    std::vector<Value> separators;
    if (!Iterate(c.run, c.arguments[2], &separators)) return {};
    if (separators.size() != 2 || !separators[0].Is(Kind::kText) || !separators[1].Is(Kind::kText)) {
      return c.run.Fail("tojson: separators must be two strings");
    }
    style.item_separator = separators[0].text->bytes();
    style.key_separator = separators[1].text->bytes();
  }
  style.sort_keys = Given(c, 3) && Truthy(c.arguments[3]);
  return c.run.NewText(ToJson(c.run, c.subject, style));
}

}  // namespace

const std::vector<Filter>& TextFilters() {
  static const std::vector<Filter> filters = {
      {"capitalize", Changed<Capitalized>},
      {"center", Center, "width"},
      {"e", Escape},
      {"escape", Escape},
      {"forceescape", ForceEscape},
      {"format", Format, "*"},
      {"indent", Indent, "width first blank"},
      {"lower", Changed<Lowercase>},
      {"replace", Replace, "old new count", 2},
      {"safe", Safe},
      {"string", String},
      {"title", Changed<FilterTitle>},
      {"tojson", Tojson, "ensure_ascii indent separators sort_keys"},
      {"trim", Trim, "chars"},
      {"truncate", Truncate, "length killwords end leeway"},
      {"upper", Changed<Uppercase>},
      {"urlencode", UrlEncode},
      {"wordcount", Wordcount},
  };
  return filters;
}

}  // namespace tenfold::jinja
