// Sets of Unicode characters, and the byte sequences that spell them in UTF-8.
//
// What it does: keeps sorted ranges, complements and intersects them, and cuts a set into runs of byte ranges, so that
// an automaton over bytes can follow characters that tokens cut in half. Surrogates (U+D800..DFFF) are no characters:
// UTF-8 has no spelling for them and no set ever holds them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tenfold::grammar {

inline constexpr uint32_t kMaxCharacter = 0x10FFFF;

struct CharRange {
  uint32_t low = 0;
  uint32_t high = 0;  // inclusive
  bool operator==(const CharRange&) const = default;
};

// Plain data; any thread.
class CharSet {
 public:
  CharSet() = default;
  // Any order, overlaps allowed, each low <= high <= kMaxCharacter.
  explicit CharSet(std::vector<CharRange> ranges);

  static CharSet All() { return CharSet({{0, kMaxCharacter}}); }
  // What a JSON string may hold unescaped, without U+007F, which some grammars leave out: the characters of nearly
  // every token, which masks treat in bulk.
  static const CharSet& PlainText();

  const std::vector<CharRange>& ranges() const { return ranges_; }  // sorted, disjoint, not adjacent, no surrogates
  bool empty() const { return ranges_.empty(); }
  bool Contains(uint32_t character) const;
  bool ContainsAll(const CharSet& other) const;
  CharSet Complement() const;
  CharSet Union(const CharSet& other) const;
  CharSet Intersection(const CharSet& other) const;
  bool operator==(const CharSet&) const = default;

 private:
  std::vector<CharRange> ranges_;
};

struct ByteRange {
  uint8_t low = 0;
  uint8_t high = 0;  // inclusive
};

// One to four byte ranges in a row: every choice of one byte from each spells a character, and no two runs share one.
struct ByteRun {
  int length = 0;
  ByteRange bytes[4];
};

// The runs that spell exactly the characters of the set.
std::vector<ByteRun> Utf8Runs(const CharSet& set);

// Needs a character that is no surrogate.
void AppendUtf8(uint32_t character, std::string* out);

}  // namespace tenfold::grammar
