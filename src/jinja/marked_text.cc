#include "jinja/marked_text.h"

#include <algorithm>

namespace tenfold::jinja {

void MarkedText::Mark(size_t begin, size_t end) {
  if (begin == end) return;
  if (!data_.empty() && data_.back().end == begin) {
    data_.back().end = end;
  } else {
    data_.push_back({begin, end});
  }
}

void MarkedText::Append(std::string_view text, bool is_data) {
  const size_t begin = bytes_.size();
  bytes_.append(text);
  if (is_data) Mark(begin, bytes_.size());
}

void MarkedText::Append(const MarkedText& other) { Append(other, 0, other.size()); }

void MarkedText::Append(const MarkedText& other, size_t begin, size_t end) {
  const size_t at = bytes_.size();
  bytes_.append(other.bytes_, begin, end - begin);
  auto range = std::lower_bound(other.data_.begin(), other.data_.end(), begin,
                                [](const ByteRange& r, size_t position) { return r.end <= position; });
  for (; range != other.data_.end() && range->begin < end; ++range) {
    Mark(at + std::max(range->begin, begin) - begin, at + std::min(range->end, end) - begin);
  }
}

MarkedText MarkedText::Slice(size_t begin, size_t end) const {
  MarkedText out;
  out.Append(*this, begin, end);
  return out;
}

MarkedText MarkedText::WithBytes(std::string bytes) const {
  MarkedText out;
  const bool same_size = bytes.size() == bytes_.size();
  out.bytes_ = std::move(bytes);
  if (same_size) {
    out.data_ = data_;
  } else if (has_data()) {
    out.MarkAll();
  }
  return out;
}

void MarkedText::MarkAll() {
  data_.clear();
  Mark(0, bytes_.size());
}

}  // namespace tenfold::jinja
