#include "grammar/char_set.h"

#include <algorithm>

namespace tenfold::grammar {
namespace {

constexpr CharRange kSurrogates = {0xD800, 0xDFFF};

int EncodedLength(uint32_t character) {
  if (character < 0x80) return 1;
  if (character < 0x800) return 2;
  return character < 0x10000 ? 3 : 4;
}

int Encode(uint32_t character, uint8_t* out) {
  const int length = EncodedLength(character);
  if (length == 1) {
    out[0] = static_cast<uint8_t>(character);
    return 1;
  }
  constexpr uint8_t kLead[] = {0, 0, 0xC0, 0xE0, 0xF0};
  for (int i = length - 1; i > 0; --i) {
    out[i] = static_cast<uint8_t>(0x80 | (character & 0x3F));
    character >>= 6;
  }
  out[0] = static_cast<uint8_t>(kLead[length] | character);
  return length;
}

// Cuts [low, high], both of the same encoded length, where a trailing byte is not free to take all of 80..BF.
void AppendRuns(uint32_t low, uint32_t high, std::vector<ByteRun>* out) {
  const int length = EncodedLength(low);
  for (int i = 1; i < length; ++i) {
    const uint32_t mask = (1U << (6 * i)) - 1;
    if ((low & ~mask) == (high & ~mask)) break;  // only the last i bytes differ
    if ((low & mask) != 0) {
      AppendRuns(low, low | mask, out);
      AppendRuns((low | mask) + 1, high, out);
      return;
    }
    if ((high & mask) != mask) {
      AppendRuns(low, (high & ~mask) - 1, out);
      AppendRuns(high & ~mask, high, out);
      return;
    }
  }
  uint8_t first[4];
  uint8_t last[4];
  Encode(low, first);
  Encode(high, last);
  ByteRun run{.length = length, .bytes = {}};
  for (int i = 0; i < length; ++i) run.bytes[i] = {first[i], last[i]};
  out->push_back(run);
}

}  // namespace

CharSet::CharSet(std::vector<CharRange> ranges) {
  std::vector<CharRange> kept;
  for (const CharRange& range : ranges) {
    if (range.low < kSurrogates.low) kept.push_back({range.low, std::min(range.high, kSurrogates.low - 1)});
    if (range.high > kSurrogates.high) kept.push_back({std::max(range.low, kSurrogates.high + 1), range.high});
  }
  std::sort(kept.begin(), kept.end(), [](const CharRange& a, const CharRange& b) { return a.low < b.low; });
  for (const CharRange& range : kept) {
    if (!ranges_.empty() && range.low <= ranges_.back().high + 1) {
      ranges_.back().high = std::max(ranges_.back().high, range.high);
    } else {
      ranges_.push_back(range);
    }
  }
}

const CharSet& CharSet::PlainText() {
  static const CharSet set({{0x20, 0x21}, {0x23, 0x5B}, {0x5D, 0x7E}, {0x80, kMaxCharacter}});
  return set;
}

bool CharSet::Contains(uint32_t character) const {
  const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), character,
                                      [](uint32_t c, const CharRange& range) { return c < range.low; });
  return after != ranges_.begin() && character <= std::prev(after)->high;
}

bool CharSet::ContainsAll(const CharSet& other) const { return Intersection(other) == other; }

CharSet CharSet::Complement() const {
  std::vector<CharRange> out;
  uint32_t next = 0;
  for (const CharRange& range : ranges_) {
    if (range.low > next) out.push_back({next, range.low - 1});
    next = range.high + 1;
  }
  if (next <= kMaxCharacter) out.push_back({next, kMaxCharacter});
  return CharSet(std::move(out));
}

CharSet CharSet::Union(const CharSet& other) const {
  std::vector<CharRange> out = ranges_;
  out.insert(out.end(), other.ranges_.begin(), other.ranges_.end());
  return CharSet(std::move(out));
}

CharSet CharSet::Intersection(const CharSet& other) const {
  std::vector<CharRange> out;
  size_t i = 0;
  size_t j = 0;
  while (i < ranges_.size() && j < other.ranges_.size()) {
    const CharRange& a = ranges_[i];
    const CharRange& b = other.ranges_[j];
    const uint32_t low = std::max(a.low, b.low);
    const uint32_t high = std::min(a.high, b.high);
    if (low <= high) out.push_back({low, high});
    (a.high < b.high ? i : j) += 1;
  }
  return CharSet(std::move(out));
}

std::vector<ByteRun> Utf8Runs(const CharSet& set) {
  std::vector<ByteRun> runs;
  constexpr uint32_t kLengthEnds[] = {0x7F, 0x7FF, 0xFFFF, kMaxCharacter};
  for (const CharRange& range : set.ranges()) {
    uint32_t low = range.low;
    for (const uint32_t end : kLengthEnds) {
      if (low > end) continue;
      const uint32_t high = std::min(range.high, end);
      AppendRuns(low, high, &runs);
      if (high == range.high) break;
      low = high + 1;
    }
  }
  return runs;
}

void AppendUtf8(uint32_t character, std::string* out) {
  uint8_t bytes[4];
  const int length = Encode(character, bytes);
  out->append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
}

}  // namespace tenfold::grammar
