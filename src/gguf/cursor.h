// A reader over bytes nobody vouches for: every read says whether the bytes were there, and moves only if they were.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace tenfold::gguf {

static_assert(std::endian::native == std::endian::little, "GGUF is read in place as little endian");

class Cursor {
 public:
  // bytes must outlive the cursor and every view it hands out.
  explicit Cursor(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  uint64_t position() const { return position_; }
  uint64_t remaining() const { return bytes_.size() - position_; }

  // One little-endian number.
  template <class T>
  bool Read(T* out) {
    static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>);
    if (remaining() < sizeof(T)) return false;
    std::memcpy(out, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return true;
  }

  // The next n bytes, in place.
  bool ReadBytes(uint64_t n, std::span<const uint8_t>* out) {
    if (n > remaining()) return false;
    *out = bytes_.subspan(position_, n);
    position_ += n;
    return true;
  }

  // A string as GGUF writes it, a 64-bit length and then the bytes; in place.
  bool ReadString(std::string_view* out) {
    const uint64_t start = position_;
    uint64_t length;
    std::span<const uint8_t> bytes;
    if (!Read(&length) || !ReadBytes(length, &bytes)) {
      position_ = start;
      return false;
    }
    *out = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    return true;
  }

 private:
  std::span<const uint8_t> bytes_;
  uint64_t position_ = 0;
};

}  // namespace tenfold::gguf
