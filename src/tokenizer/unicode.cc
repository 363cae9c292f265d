#include "tokenizer/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <vector>

namespace tenfold::tokenizer {
namespace {

constexpr uint32_t kReplacement = 0xFFFD;

// What may follow a lead byte: Unicode 14, table 3-7. Only the second byte's range depends on the lead.
struct LeadByte {
  uint8_t length;        // 0: never begins a character
  uint8_t second_first;  // lowest and highest second byte
  uint8_t second_last;
};

constexpr LeadByte LeadOf(uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

CharClass ClassOfSlow(uint32_t code_point) {
  if (code_point == '\r' || code_point == '\n') return CharClass::kNewline;
  if ((code_point >= 0x09 && code_point <= 0x0D) || code_point == 0x85) return CharClass::kSpace;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code_point))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return CharClass::kLetter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return CharClass::kNumber;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return CharClass::kSpace;
    default:
      return CharClass::kSymbol;
  }
}

// A decomposed character: combining class above 21 bits of code point.
constexpr int kCodePointBits = 21;
using Decomposed = uint32_t;

// Puts every run of combining marks in canonical order. utf8proc's own ordering exchanges neighbours, which takes
// quadratic time on a megabyte of marks.
void OrderMarks(std::vector<Decomposed>& chars) {
  const auto is_starter = [](Decomposed c) { return (c >> kCodePointBits) == 0; };
  auto begin = chars.begin();
  while (begin != chars.end()) {
    begin = std::find_if_not(begin, chars.end(), is_starter);
    const auto end = std::find_if(begin, chars.end(), is_starter);
    if (end - begin > 1) {
      std::stable_sort(begin, end,
                       [](Decomposed a, Decomposed b) { return (a >> kCodePointBits) < (b >> kCodePointBits); });
    }
    begin = end;
  }
}

void AppendDecomposed(uint32_t code_point, std::vector<Decomposed>& chars) {
  utf8proc_int32_t parts[8];  // canonical decompositions have at most 4 characters
  const auto count =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code_point), parts, 8,
                              static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE), nullptr);
  for (utf8proc_ssize_t i = 0; i < count && i < 8; ++i) {
    const uint32_t mark_class = utf8proc_get_property(parts[i])->combining_class;
    chars.push_back(mark_class << kCodePointBits | static_cast<uint32_t>(parts[i]));
  }
}

// Composes one well-formed stretch, appends it, and empties it.
void FlushComposed(std::vector<Decomposed>& chars, std::string& out) {
  OrderMarks(chars);
  std::vector<utf8proc_int32_t> code_points(chars.size());
  std::transform(chars.begin(), chars.end(), code_points.begin(),
                 [](Decomposed c) { return static_cast<utf8proc_int32_t>(c & ((1u << kCodePointBits) - 1)); });
  const auto count = utf8proc_normalize_utf32(code_points.data(), static_cast<utf8proc_ssize_t>(code_points.size()),
                                              static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  for (utf8proc_ssize_t i = 0; i < count; ++i) {
    utf8proc_uint8_t bytes[4];
    out.append(reinterpret_cast<const char*>(bytes), utf8proc_encode_char(code_points[i], bytes));
  }
  chars.clear();
}

// Characters below U+0300 are their own NFC and combine with nothing before them.
bool NeedsNfc(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<uint8_t>(c) >= 0xCC; });
}

}  // namespace

Utf8Char DecodeUtf8(std::string_view text, size_t pos) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const LeadByte lead = LeadOf(byte(pos));
  if (lead.length == 1) return {byte(pos), 1, Utf8Kind::kValid};
  if (lead.length == 0) return {kReplacement, 1, Utf8Kind::kInvalid};
  uint32_t code_point = byte(pos) & (0x7Fu >> lead.length);
  for (uint8_t i = 1; i < lead.length; ++i) {
    if (pos + i >= text.size()) return {kReplacement, i, Utf8Kind::kTruncated};
    const uint8_t first = i == 1 ? lead.second_first : 0x80;
    const uint8_t last = i == 1 ? lead.second_last : 0xBF;
    if (byte(pos + i) < first || byte(pos + i) > last) return {kReplacement, i, Utf8Kind::kInvalid};
    code_point = code_point << 6 | (byte(pos + i) & 0x3Fu);
  }
  return {code_point, lead.length, Utf8Kind::kValid};
}

size_t AppendLossyUtf8(std::string_view text, bool keep_truncated, std::string& out) {
  size_t pos = 0;
  while (pos < text.size()) {
    const Utf8Char c = DecodeUtf8(text, pos);
    if (c.kind == Utf8Kind::kTruncated && keep_truncated) break;
    if (c.kind == Utf8Kind::kValid) {
      out.append(text.substr(pos, c.length));
    } else {
      out.append("\xEF\xBF\xBD");
    }
    pos += c.length;
  }
  return pos;
}

CharClass ClassOf(uint32_t code_point) {
  static const std::array<CharClass, 128> kAscii = [] {
    std::array<CharClass, 128> classes{};
    for (uint32_t c = 0; c < classes.size(); ++c) classes[c] = ClassOfSlow(c);
    return classes;
  }();
  return code_point < kAscii.size() ? kAscii[code_point] : ClassOfSlow(code_point);
}

bool IsPunctuation(uint32_t code_point) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code_point))) {
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
      return true;
    default:
      return false;
  }
}

std::string_view ToNfc(std::string_view text, std::string& storage) {
  if (!NeedsNfc(text)) return text;
  storage.clear();
  storage.reserve(text.size());
  std::vector<Decomposed> chars;
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = DecodeUtf8(text, pos);
    if (c.kind == Utf8Kind::kValid) {
      AppendDecomposed(c.code_point, chars);
    } else {
      FlushComposed(chars, storage);
      storage.append(text.substr(pos, c.length));
    }
    pos += c.length;
  }
  FlushComposed(chars, storage);
  return storage;
}

}  // namespace tenfold::tokenizer
