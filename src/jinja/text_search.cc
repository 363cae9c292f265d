#include "jinja/text_search.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "jinja/utf8.h"

namespace tenfold::jinja {
namespace {

struct Cut {
  size_t begin;
  size_t end;
};

bool InSet(char32_t c, std::string_view chars) {
  for (size_t at = 0; at < chars.size(); at += CharacterBytes(chars, at)) {
    if (CodePointAt(chars, at) == c) return true;
  }
  return false;
}

size_t PreviousCharacter(std::string_view text, size_t end) {
  size_t begin = end - 1;
  while (begin > 0 && (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) --begin;
  return begin;
}

// Where the words of a text stand, at most max_splits + 1 of them; the last one is all the rest.
std::vector<Cut> Words(std::string_view text, int64_t max_splits) {
  std::vector<Cut> out;
  size_t at = LeadingSpaceBytes(text);
  while (at < text.size()) {
    if (max_splits >= 0 && static_cast<int64_t>(out.size()) == max_splits) {
      out.push_back({at, text.size()});
      break;
    }
    size_t end = at;
    while (end < text.size() && !IsSpace(CodePointAt(text, end))) end += CharacterBytes(text, end);
    out.push_back({at, end});
    at = end + LeadingSpaceBytes(text.substr(end));
  }
  return out;
}

std::vector<Cut> WordsFromRight(std::string_view text, int64_t max_splits) {
  std::vector<Cut> out;
  size_t end = text.size() - TrailingSpaceBytes(text);
  while (end > 0) {
    if (max_splits >= 0 && static_cast<int64_t>(out.size()) == max_splits) {
      out.push_back({0, end});
      break;
    }
    size_t begin = end;
    while (begin > 0 && !IsSpace(CodePointAt(text, PreviousCharacter(text, begin)))) {
      begin = PreviousCharacter(text, begin);
    }
    out.push_back({begin, end});
    end = begin - TrailingSpaceBytes(text.substr(0, begin));
  }
  std::reverse(out.begin(), out.end());
  return out;
}

// Non-overlapping places of a separator: from the left, or those that a search from the right finds.
std::vector<size_t> Places(std::string_view text, std::string_view separator, int64_t most, bool from_right) {
  std::vector<size_t> out;
  if (!from_right) {
    for (size_t at = 0; most < 0 || static_cast<int64_t>(out.size()) < most;) {
      at = FindFirst(text, separator, at);
      if (at == kNowhere) break;
      out.push_back(at);
      at += separator.size();
    }
    return out;
  }
  const std::string reversed_text(text.rbegin(), text.rend());
  const std::string reversed_separator(separator.rbegin(), separator.rend());
  for (const size_t at : Places(reversed_text, reversed_separator, most, false)) {
    out.push_back(text.size() - at - separator.size());
  }
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace

size_t FindFirst(std::string_view text, std::string_view needle, size_t from) {
  if (from > text.size()) return kNowhere;
  if (needle.empty()) return from;
  const void* found = memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  return found == nullptr ? kNowhere : static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

// Searched backwards in reversed copies: there is no linear search from the end in the C library.
size_t FindLast(std::string_view text, std::string_view needle) {
  if (needle.empty()) return text.size();
  const std::vector<size_t> last = Places(text, needle, 1, true);
  return last.empty() ? kNowhere : last[0];
}

int64_t CountOf(std::string_view text, std::string_view needle) {
  if (needle.empty()) return static_cast<int64_t>(CountCharacters(text)) + 1;
  int64_t count = 0;
  for (size_t at = 0; (at = FindFirst(text, needle, at)) != kNowhere; at += needle.size()) ++count;
  return count;
}

MarkedText Replaced(Run& run, const MarkedText& text, const MarkedText& from, const MarkedText& to, int64_t count) {
  const std::string& bytes = text.bytes();
  MarkedText out;
  if (!run.Reserve(bytes.size())) return out;
  const auto left = [&] { return count < 0 || count-- > 0; };
  const auto put = [&] {
    if (!run.Reserve(to.size() + to.data().size() * sizeof(ByteRange))) return false;
    out.Append(to);
    return true;
  };
  size_t done = 0;
  if (from.empty()) {
    while (left()) {
      if (!put()) return out;
      if (done >= bytes.size()) return out;
      const size_t next = done + CharacterBytes(bytes, done);
      out.Append(text, done, next);
      done = next;
    }
  } else {
    for (size_t at; (at = FindFirst(bytes, from.bytes(), done)) != kNowhere && left();) {
      out.Append(text, done, at);
      if (!put()) return out;
      done = at + from.size();
    }
  }
  out.Append(text, done, bytes.size());
  return out;
}

MarkedText Stripped(const MarkedText& text, End end) {
  const std::string_view bytes = text.bytes();
  const size_t left = end == End::kRight ? 0 : LeadingSpaceBytes(bytes);
  const size_t right = end == End::kLeft ? 0 : TrailingSpaceBytes(bytes.substr(left));
  return text.Slice(left, bytes.size() - right);
}

MarkedText Stripped(const MarkedText& text, std::string_view chars, End side) {
  const std::string_view bytes = text.bytes();
  size_t begin = 0, end = bytes.size();
  if (side != End::kRight) {
    while (begin < end && InSet(CodePointAt(bytes, begin), chars)) begin += CharacterBytes(bytes, begin);
  }
  if (side != End::kLeft) {
    while (end > begin && InSet(CodePointAt(bytes, PreviousCharacter(bytes, end)), chars)) {
      end = PreviousCharacter(bytes, end);
    }
  }
  return text.Slice(begin, end);
}

std::vector<MarkedText> Split(Run& run, const MarkedText& text, const std::string_view* separator, int64_t max_splits,
                              bool from_right) {
  const std::string_view bytes = text.bytes();
  std::vector<Cut> cuts;
  // At worst every separator's width is followed by another one.
  const size_t most_cuts = bytes.size() / (separator == nullptr ? 2 : separator->size()) + 1;
  if (!run.Reserve(most_cuts * (sizeof(Cut) + sizeof(size_t)))) return {};
  if (separator == nullptr) {
    cuts = from_right ? WordsFromRight(bytes, max_splits) : Words(bytes, max_splits);
  } else {
    size_t begin = 0;
    for (const size_t at : Places(bytes, *separator, max_splits, from_right)) {
      cuts.push_back({begin, at});
      begin = at + separator->size();
    }
    cuts.push_back({begin, bytes.size()});
  }
  std::vector<MarkedText> out;
  if (!run.Reserve(bytes.size() + cuts.size() * sizeof(MarkedText))) return out;
  out.reserve(cuts.size());
  for (const Cut& cut : cuts) out.push_back(text.Slice(cut.begin, cut.end));
  return out;
}

std::vector<MarkedText> SplitLines(Run& run, const MarkedText& text, bool keep_ends) {
  const std::string_view bytes = text.bytes();
  std::vector<MarkedText> out;
  size_t begin = 0;
  for (size_t at = 0; at < bytes.size();) {
    const char32_t c = CodePointAt(bytes, at);
    const size_t size = CharacterBytes(bytes, at);
    const bool breaks = (c >= 10 && c <= 13) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (!breaks) {
      at += size;
      continue;
    }
    if (!run.Reserve(sizeof(MarkedText) + at - begin)) return out;
    const size_t end = at + size + (c == '\r' && bytes.substr(at + 1).starts_with('\n') ? 1 : 0);
    out.push_back(text.Slice(begin, keep_ends ? end : at));
    begin = at = end;
  }
  if (begin < bytes.size()) out.push_back(text.Slice(begin, bytes.size()));
  return out;
}

}  // namespace tenfold::jinja
