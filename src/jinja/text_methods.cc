// The methods of str.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "jinja/casing.h"
#include "jinja/methods.h"
#include "jinja/operators.h"
#include "jinja/percent_format.h"
#include "jinja/python_text.h"
#include "jinja/str_format.h"
#include "jinja/text_search.h"
#include "jinja/utf8.h"

namespace tenfold::jinja {
namespace {

// One call under way.
struct TextCall {
  Run& run;
  const Text& self;
  const std::vector<Value>& arguments;  // bound
  const CallArguments& raw;

  const MarkedText& text() const { return self.marked; }
  bool given(size_t i) const { return !arguments[i].Is(Kind::kMissing) && !arguments[i].Is(Kind::kNone); }
  Value Make(MarkedText out) const { return run.NewText(std::move(out), self.is_markup); }
  Value MakeList(std::vector<MarkedText> parts, Kind kind = Kind::kList) const {
    std::vector<Value> items;
    items.reserve(parts.size());
    for (MarkedText& part : parts) items.push_back(Make(std::move(part)));
    return run.NewSequence(kind, std::move(items));
  }
  // The argument as text; fails where it is none.
  const Text* TextAt(size_t i) const {
    if (arguments[i].Is(Kind::kText)) return arguments[i].text;
    run.Fail(arguments[i].Is(Kind::kUndefined) ? WhyUndefined(arguments[i])
                                               : fmt::format("expected a string, not {}", TypeName(arguments[i])));
    return nullptr;
  }
  int64_t IntegerAt(size_t i, int64_t otherwise) const {
    if (arguments[i].Is(Kind::kMissing)) return otherwise;
    if (arguments[i].IsInteger()) return arguments[i].AsInteger();
    run.Fail(fmt::format("expected an integer, not {}", TypeName(arguments[i])));
    return otherwise;
  }
};

// The bytes that text[start:end] takes, for methods with such arguments; false when start is beyond the end.
bool Window(const TextCall& c, size_t first, size_t* begin, size_t* end) {
  const auto length = static_cast<int64_t>(c.self.characters);
  const auto bound = [&](size_t i, int64_t otherwise) {
    int64_t value = c.given(i) ? c.IntegerAt(i, otherwise) : otherwise;
    if (value < 0) value = std::max<int64_t>(0, value + length);
    return value;
  };
  const int64_t from = bound(first, 0), to = std::min(bound(first + 1, length), length);
  if (from > length) return false;
  *begin = ByteOffset(c.text().bytes(), static_cast<size_t>(from));
  *end = ByteOffset(c.text().bytes(), static_cast<size_t>(to));
  return *begin <= *end;
}

template <End end>
Value Strip(const TextCall& c) {
  if (!c.given(0)) return c.Make(Stripped(c.text(), end));
  const Text* chars = c.TextAt(0);
  if (chars == nullptr || !c.run.Charge(c.text().size() / 8 * (chars->bytes().size() / 8 + 1))) return {};
  return c.Make(Stripped(c.text(), chars->bytes(), end));
}

template <bool from_right>
Value SplitMethod(const TextCall& c) {
  const int64_t most = c.IntegerAt(1, -1);
  if (!c.given(0)) return c.MakeList(Split(c.run, c.text(), nullptr, most, from_right));
  const Text* separator = c.TextAt(0);
  if (separator == nullptr) return {};
  if (separator->bytes().empty()) return c.run.Fail("an empty separator splits nothing");
  const std::string_view bytes = separator->bytes();
  return c.MakeList(Split(c.run, c.text(), &bytes, most, from_right));
}

Value Lines(const TextCall& c) { return c.MakeList(SplitLines(c.run, c.text(), c.given(0) && Truthy(c.arguments[0]))); }

template <bool at_start>
Value Affix(const TextCall& c) {
  size_t begin = 0, end = 0;
  if (!Window(c, 1, &begin, &end)) return Value::Bool(false);
  const std::string_view window = std::string_view(c.text().bytes()).substr(begin, end - begin);
  std::vector<Value> options{c.arguments[0]};
  if (c.arguments[0].Is(Kind::kTuple)) options = c.arguments[0].sequence->items;
  for (const Value& option : options) {
    if (!option.Is(Kind::kText)) {
      return c.run.Fail(option.Is(Kind::kUndefined) ? WhyUndefined(option)
                                                    : fmt::format("expected a string, not {}", TypeName(option)));
    }
    const std::string& affix = option.text->bytes();
    c.run.ChargeBytes(affix.size());
    if (at_start ? window.starts_with(affix) : window.ends_with(affix)) return Value::Bool(true);
  }
  return Value::Bool(false);
}

// find, rfind, index, rindex: a number of characters.
template <bool from_right, bool must_be_there>
Value FindMethod(const TextCall& c) {
  const Text* needle = c.TextAt(0);
  if (needle == nullptr) return {};
  size_t begin = 0, end = 0, at = kNowhere;
  if (Window(c, 1, &begin, &end)) {
    const std::string_view window = std::string_view(c.text().bytes()).substr(begin, end - begin);
    at = from_right ? FindLast(window, needle->bytes()) : FindFirst(window, needle->bytes());
  }
  if (at == kNowhere) return must_be_there ? c.run.Fail("the substring is not there") : Value::Int(-1);
  return Value::Int(static_cast<int64_t>(CountCharacters(std::string_view(c.text().bytes()).substr(0, begin + at))));
}

Value CountMethod(const TextCall& c) {
  const Text* needle = c.TextAt(0);
  size_t begin = 0, end = 0;
  if (needle == nullptr || !Window(c, 1, &begin, &end)) return Value::Int(0);
  return Value::Int(CountOf(std::string_view(c.text().bytes()).substr(begin, end - begin), needle->bytes()));
}

Value ReplaceMethod(const TextCall& c) {
  const Text *from = c.TextAt(0), *to = c.TextAt(1);
  if (from == nullptr || to == nullptr) return {};
  return c.Make(Replaced(c.run, c.text(), from->marked, to->marked, c.IntegerAt(2, -1)));
}

Value JoinMethod(const TextCall& c) {
  std::vector<Value> items;
  if (!Iterate(c.run, c.arguments[0], &items)) return {};
  MarkedText out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].Is(Kind::kText)) {
      return c.run.Fail(fmt::format("join: item {} is no string but {}", i, TypeName(items[i])));
    }
    const bool escape = c.self.is_markup && !items[i].text->is_markup;
    if (i > 0) out.Append(c.text());
    out.Append(escape ? EscapeMarkup(c.run, items[i].text->marked) : items[i].text->marked);
    if (!c.run.Reserve(items[i].text->bytes().size() + c.text().size() + sizeof(ByteRange))) return {};
  }
  return c.Make(std::move(out));
}

// center, ljust, rjust: the pad goes left, right or on both sides.
template <End pad>
Value Justify(const TextCall& c) {
  const int64_t width = c.IntegerAt(0, 0);
  MarkedText fill(" ", false);
  if (c.given(1)) {
    const Text* given = c.TextAt(1);
    if (given == nullptr) return {};
    if (given->characters != 1) return c.run.Fail("the fill must be one character");
    fill = given->marked;
  }
  const int64_t total = width - static_cast<int64_t>(c.self.characters);
  if (total <= 0) return c.Make(c.text());
  if (!c.run.Reserve(static_cast<uint64_t>(total) * (fill.size() + 1))) return {};
  const int64_t left = pad == End::kLeft ? total : pad == End::kRight ? 0 : total / 2 + (total & width & 1);
  MarkedText out;
  for (int64_t i = 0; i < left; ++i) out.Append(fill);
  out.Append(c.text());
  for (int64_t i = left; i < total; ++i) out.Append(fill);
  return c.Make(std::move(out));
}

Value ZeroFill(const TextCall& c) {
  const int64_t missing = c.IntegerAt(0, 0) - static_cast<int64_t>(c.self.characters);
  if (missing <= 0) return c.Make(c.text());
  if (!c.run.Reserve(static_cast<uint64_t>(missing) + c.text().size())) return {};
  const bool sign = c.text().bytes().starts_with('-') || c.text().bytes().starts_with('+');
  MarkedText out = c.text().Slice(0, sign ? 1 : 0);
  out.Append(std::string(static_cast<size_t>(missing), '0'), false);
  out.Append(c.text(), sign ? 1 : 0, c.text().size());
  return c.Make(std::move(out));
}

template <bool from_right>
Value Partition(const TextCall& c) {
  const Text* separator = c.TextAt(0);
  if (separator == nullptr) return {};
  const std::string &bytes = c.text().bytes(), &sep = separator->bytes();
  if (sep.empty()) return c.run.Fail("an empty separator splits nothing");
  const size_t at = from_right ? FindLast(bytes, sep) : FindFirst(bytes, sep);
  if (at == kNowhere) {
    std::vector<MarkedText> parts(3);
    parts[from_right ? 2 : 0] = c.text();
    return c.MakeList(std::move(parts), Kind::kTuple);
  }
  return c.MakeList(
      {c.text().Slice(0, at), c.text().Slice(at, at + sep.size()), c.text().Slice(at + sep.size(), bytes.size())},
      Kind::kTuple);
}

template <bool at_start>
Value RemoveAffix(const TextCall& c) {
  const Text* affix = c.TextAt(0);
  if (affix == nullptr) return {};
  const std::string &bytes = c.text().bytes(), &part = affix->bytes();
  if (at_start ? !bytes.starts_with(part) : !bytes.ends_with(part)) return c.Make(c.text());
  return c.Make(at_start ? c.text().Slice(part.size(), bytes.size()) : c.text().Slice(0, bytes.size() - part.size()));
}

bool IsDigit(char32_t c) { return c >= '0' && c <= '9'; }

template <bool (*holds)(char32_t)>
Value AllAre(const TextCall& c) {
  const std::string& bytes = c.text().bytes();
  for (size_t at = 0; at < bytes.size(); at += CharacterBytes(bytes, at)) {
    if (!holds(CodePointAt(bytes, at))) return Value::Bool(false);
  }
  return Value::Bool(!bytes.empty());
}

template <bool (*is_case)(char32_t), bool (*is_other)(char32_t)>
Value AllOfCase(const TextCall& c) {
  const std::string& bytes = c.text().bytes();
  bool any = false;
  for (size_t at = 0; at < bytes.size(); at += CharacterBytes(bytes, at)) {
    const char32_t code = CodePointAt(bytes, at);
    if (is_other(code)) return Value::Bool(false);
    any |= is_case(code);
  }
  return Value::Bool(any);
}

template <MarkedText (*change)(const MarkedText&)>
Value Changed(const TextCall& c) {
  return c.Make(change(c.text()));
}

struct TextMethod {
  std::string_view name;
  Value (*call)(const TextCall&);
  std::string_view parameters;
  size_t required;
};

constexpr std::array kTextMethods = {
    TextMethod{"strip", Strip<End::kBoth>, "chars", 0},
    TextMethod{"lstrip", Strip<End::kLeft>, "chars", 0},
    TextMethod{"rstrip", Strip<End::kRight>, "chars", 0},
    TextMethod{"split", SplitMethod<false>, "sep maxsplit", 0},
    TextMethod{"rsplit", SplitMethod<true>, "sep maxsplit", 0},
    TextMethod{"splitlines", Lines, "keepends", 0},
    TextMethod{"startswith", Affix<true>, "prefix start end", 1},
    TextMethod{"endswith", Affix<false>, "suffix start end", 1},
    TextMethod{"find", FindMethod<false, false>, "sub start end", 1},
    TextMethod{"rfind", FindMethod<true, false>, "sub start end", 1},
    TextMethod{"index", FindMethod<false, true>, "sub start end", 1},
    TextMethod{"rindex", FindMethod<true, true>, "sub start end", 1},
    TextMethod{"count", CountMethod, "sub start end", 1},
    TextMethod{"replace", ReplaceMethod, "old new count", 2},
    TextMethod{"join", JoinMethod, "iterable", 1},
    TextMethod{"upper", Changed<Uppercase>, "", 0},
    TextMethod{"lower", Changed<Lowercase>, "", 0},
    TextMethod{"casefold", Changed<Lowercase>, "", 0},
    TextMethod{"swapcase", Changed<SwappedCase>, "", 0},
    TextMethod{"capitalize", Changed<Capitalized>, "", 0},
    TextMethod{"title", Changed<TitleCase>, "", 0},
    TextMethod{"center", Justify<End::kBoth>, "width fillchar", 1},
    TextMethod{"ljust", Justify<End::kRight>, "width fillchar", 1},
    TextMethod{"rjust", Justify<End::kLeft>, "width fillchar", 1},
    TextMethod{"zfill", ZeroFill, "width", 1},
    TextMethod{"partition", Partition<false>, "sep", 1},
    TextMethod{"rpartition", Partition<true>, "sep", 1},
    TextMethod{"removeprefix", RemoveAffix<true>, "prefix", 1},
    TextMethod{"removesuffix", RemoveAffix<false>, "suffix", 1},
    TextMethod{"isdigit", AllAre<IsDigit>, "", 0},
    TextMethod{"isdecimal", AllAre<IsDigit>, "", 0},
    TextMethod{"isnumeric", AllAre<IsDigit>, "", 0},
    TextMethod{"isalpha", AllAre<IsLetter>, "", 0},
    TextMethod{"isalnum", AllAre<IsAlnum>, "", 0},
    TextMethod{"isspace", AllAre<IsSpace>, "", 0},
    TextMethod{"islower", AllOfCase<IsLower, IsUpper>, "", 0},
    TextMethod{"isupper", AllOfCase<IsUpper, IsLower>, "", 0},
    TextMethod{"format", [](const TextCall& c) { return StrFormat(c.run, c.self, c.raw); }, "*", 0},
};

const TextMethod* FindTextMethod(std::string_view name) {
  const auto it = std::find_if(kTextMethods.begin(), kTextMethods.end(), [&](const auto& m) { return m.name == name; });
  return it == kTextMethods.end() ? nullptr : &*it;
}

}  // namespace

bool IsTextMethod(std::string_view name) { return FindTextMethod(name) != nullptr; }

Value CallTextMethod(Run& run, const Text& text, std::string_view name, const CallArguments& arguments) {
  const TextMethod* method = FindTextMethod(name);
  if (method == nullptr || !run.ChargeBytes(text.bytes().size()) || !run.Reserve(text.bytes().size())) return {};
  CallArguments escaped;
  const CallArguments* given = &arguments;
  if (text.is_markup && method->parameters != "*") {
    // Markup escapes what it is combined with.
    escaped = arguments;
    for (Value& v : escaped.positional) {
      if (v.Is(Kind::kText) && !v.text->is_markup) v = run.NewText(EscapeMarkup(run, v.text->marked), true);
    }
    given = &escaped;
  }
  std::vector<Value> bound;
  if (method->parameters != "*" &&
      !given->Bind(run, fmt::format("str.{}", name), method->parameters, method->required, &bound)) {
    return {};
  }
  return method->call({run, text, bound, *given});
}

}  // namespace tenfold::jinja
