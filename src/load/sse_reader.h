// Server-sent events out of bytes that arrive in any pieces (WHATWG HTML, "Server-sent events", parsing a stream).
//
// What it does: joins the data lines of each event and drops comments. What it does not: event names, ids, retry times;
// no chat API uses them. Bounded: an event longer than kMaxEventBytes breaks the stream instead of eating memory.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tenfold::load {

class SseReader {
 public:
  static constexpr size_t kMaxEventBytes = 1 << 20;

  // Appends the data of every event that `bytes` completes to *events. False when an event is too long: the stream is
  // broken for good. One thread.
  bool Feed(std::string_view bytes, std::vector<std::string>* events);

  // Lines seen that are neither a field this format knows, a comment, nor blank: the answer is not an event stream.
  size_t unknown_lines() const { return unknown_lines_; }
  // The same of a last line without its end: it is no beginning of a field or a comment.
  bool rest_is_unknown() const;

 private:
  void TakeLine(std::string_view line, std::vector<std::string>* events);

  std::string line_;        // the unfinished last line
  std::string data_;        // data lines of the unfinished event, joined by newlines
  bool has_data_ = false;   // an empty data line makes an event too
  bool skip_feed_ = false;  // the last line ended in CR: a following LF belongs to it
  size_t unknown_lines_ = 0;
};

}  // namespace tenfold::load
