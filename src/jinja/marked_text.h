// Text that remembers which of its bytes came from data: request fields, as opposed to the template's own words.
//
// What it does: appends and slices, keeping the marks of every byte. What it does not: decide what a filter's result
// is; operations that mix bytes beyond slicing mark all of their result (MarkAll).
// Why ranges: a prompt has a few hundred of them and a million bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenfold::jinja {

// Bytes [begin, end).
struct ByteRange {
  size_t begin = 0;
  size_t end = 0;
  bool operator==(const ByteRange&) const = default;
};

// Movable value; not thread safe while it changes.
class MarkedText {
 public:
  MarkedText() = default;
  MarkedText(std::string_view text, bool is_data) { Append(text, is_data); }

  void Append(std::string_view text, bool is_data);
  void Append(const MarkedText& other);
  // Appends bytes [begin, end) of other; needs begin <= end <= other.size(). `other` must not be this.
  void Append(const MarkedText& other, size_t begin, size_t end);
  MarkedText Slice(size_t begin, size_t end) const;
  // The same marks for another text of the same size, as after ASCII upper-casing; else everything is marked if
  // anything was.
  MarkedText WithBytes(std::string bytes) const;
  void MarkAll();

  const std::string& bytes() const { return bytes_; }
  std::string TakeBytes() && { return std::move(bytes_); }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  bool has_data() const { return !data_.empty(); }
  // Sorted, not empty, neither overlapping nor touching.
  const std::vector<ByteRange>& data() const { return data_; }
  size_t memory_bytes() const { return bytes_.capacity() + data_.capacity() * sizeof(ByteRange); }

 private:
  void Mark(size_t begin, size_t end);

  std::string bytes_;
  std::vector<ByteRange> data_;
};

}  // namespace tenfold::jinja
