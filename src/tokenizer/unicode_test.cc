#include "tokenizer/unicode.h"

#include <gtest/gtest.h>
#include <utf8proc.h>

#include <cstdlib>
#include <random>
#include <string>

#include "base/clock.h"

namespace tenfold::tokenizer {
namespace {

std::string Lossy(std::string_view text) {
  std::string out;
  EXPECT_EQ(AppendLossyUtf8(text, false, out), text.size());
  return out;
}

std::string Nfc(std::string_view text) {
  std::string storage;
  return std::string(ToNfc(text, storage));
}

std::string Encoded(uint32_t code_point) {
  utf8proc_uint8_t bytes[4];
  const auto size = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code_point), bytes);
  return std::string(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
}

TEST(Utf8Test, EveryCodePointDecodesToItself) {
  for (uint32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    const std::string text = Encoded(c);
    const Utf8Char decoded = DecodeUtf8(text, 0);
    ASSERT_EQ(decoded.kind, Utf8Kind::kValid) << c;
    ASSERT_EQ(decoded.code_point, c);
    ASSERT_EQ(decoded.length, text.size());
  }
}

// The Unicode standard's own examples: tables 3-8 to 3-11 of version 14.
TEST(Utf8Test, OneReplacementPerMaximalSubpart) {
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(Lossy("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(Lossy("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(Lossy("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"), r + r + r + r + r + "A" + r + r + "B");
  EXPECT_EQ(Lossy("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), r + r + r + r + "A");
}

TEST(Utf8Test, KeepsOnlyWhatMayStillBecomeACharacter) {
  std::string out;
  EXPECT_EQ(AppendLossyUtf8("a\xF0\x9F\x98", true, out), 1u);
  EXPECT_EQ(out, "a");
  out.clear();
  EXPECT_EQ(AppendLossyUtf8("a\xF0\x80", true, out), 3u);  // no character begins with F0 80
  EXPECT_EQ(out, "a\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(ClassTest, TellsThePatternClassesApart) {
  for (uint32_t c : {0x41u, 0x7Au, 0xAAu, 0xE9u, 0x2B0u, 0x4E00u, 0x1F88u, 0x1E900u}) {
    EXPECT_EQ(ClassOf(c), CharClass::kLetter) << std::hex << c;
  }
  for (uint32_t c : {0x30u, 0xB2u, 0xBDu, 0x660u, 0x2160u, 0x3007u}) EXPECT_EQ(ClassOf(c), CharClass::kNumber) << c;
  for (uint32_t c : {0x20u, 0x09u, 0x0Bu, 0x0Cu, 0x85u, 0xA0u, 0x1680u, 0x2028u, 0x2029u, 0x3000u}) {
    EXPECT_EQ(ClassOf(c), CharClass::kSpace) << std::hex << c;
  }
  for (uint32_t c : {0x0Au, 0x0Du}) EXPECT_EQ(ClassOf(c), CharClass::kNewline) << c;
  // Not white space: zero-width space, Mongolian vowel separator, the information separators.
  for (uint32_t c : {0x21u, 0x5Fu, 0x300u, 0x200Bu, 0x180Eu, 0x1Cu, 0x1F600u, 0xFFFDu, 0x378u, 0x10FFFFu}) {
    EXPECT_EQ(ClassOf(c), CharClass::kSymbol) << std::hex << c;
  }
}

TEST(NfcTest, KnownForms) {
  EXPECT_EQ(Nfc("plain ASCII"), "plain ASCII");
  EXPECT_EQ(Nfc("e\u0301"), "\u00E9");
  EXPECT_EQ(Nfc("a\u0323\u0302"), "\u1EAD");       // two marks join one letter
  EXPECT_EQ(Nfc("a\u0302\u0323"), "\u1EAD");       // in either order
  EXPECT_EQ(Nfc("\u212B\u2126"), "\u00C5\u03A9");  // Angstrom and ohm signs
  EXPECT_EQ(Nfc("\u1112\u1161\u11AB"), "\uD55C");  // Hangul jamo
  EXPECT_EQ(Nfc("\u0958"), "\u0915\u093C");        // a composition exclusion stays apart
  EXPECT_EQ(Nfc("\uFB01"), "\uFB01");              // compatibility forms stay
  EXPECT_EQ(Nfc("e\u0301\xFF"
                "e\u0301"),
            "\u00E9\xFF\u00E9");
  EXPECT_EQ(Nfc("e\xFF\u0301"), "e\xFF\u0301");  // nothing composes across a bad byte
  EXPECT_EQ(Nfc("\xE1\x84"), "\xE1\x84");
}

TEST(NfcTest, AgreesWithUtf8procOnRandomText) {
  std::mt19937 random(7);
  const uint32_t pools[][2] = {{0x41, 0x7A},     {0x300, 0x36F},   {0x591, 0x5C7},     {0xC0, 0x24F},
                               {0x1100, 0x11FF}, {0x900, 0x97F},   {0x1E00, 0x1FFF},   {0xAC00, 0xD7A3},
                               {0x2100, 0x214F}, {0xF900, 0xFAFF}, {0x1D150, 0x1D1C0}, {0x20, 0x22}};
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    const int length = static_cast<int>(random() % 12);
    for (int i = 0; i < length; ++i) {
      const auto& pool = pools[random() % std::size(pools)];
      text += Encoded(pool[0] + random() % (pool[1] - pool[0] + 1));
    }
    utf8proc_uint8_t* wanted = utf8proc_NFC(reinterpret_cast<const utf8proc_uint8_t*>(text.c_str()));
    ASSERT_EQ(Nfc(text), reinterpret_cast<const char*>(wanted)) << "round " << round;
    std::free(wanted);
  }
}

// Marks in falling order of class are the worst case of an ordering that exchanges neighbours.
TEST(NfcTest, AMegabyteOfDisorderedMarksTakesNoTime) {
  std::string text = "a";
  while (text.size() < 1 << 20) text += "\u0301\u0323";
  const int64_t start = NowUs();
  const std::string normal = Nfc(text);
  EXPECT_LT(NowUs() - start, 1'000'000);
  EXPECT_EQ(normal.substr(0, 5), "\u1EA1\u0323");  // a with dot below; then all dots, then all acutes
  EXPECT_EQ(normal.substr(normal.size() - 2), "\u0301");
}

}  // namespace
}  // namespace tenfold::tokenizer
