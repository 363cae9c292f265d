#include "load/sse_reader.h"

#include <utility>

namespace tenfold::load {

bool SseReader::Feed(std::string_view bytes, std::vector<std::string>* events) {
  for (const char c : bytes) {
    if (c == '\n' && skip_feed_) {
      skip_feed_ = false;
      continue;
    }
    skip_feed_ = c == '\r';
    if (c == '\n' || c == '\r') {
      TakeLine(line_, events);
      line_.clear();
    } else {
      line_.push_back(c);
    }
    if (line_.size() + data_.size() > kMaxEventBytes) return false;
  }
  return true;
}

bool SseReader::rest_is_unknown() const {
  if (line_.empty() || line_.front() == ':') return false;
  const std::string_view name = std::string_view(line_).substr(0, line_.find(':'));
  const bool whole = name.size() < line_.size();
  for (const std::string_view field : {"data", "event", "id", "retry"}) {
    if (whole ? name == field : field.starts_with(name)) return false;
  }
  return true;
}

void SseReader::TakeLine(std::string_view line, std::vector<std::string>* events) {
  if (line.empty()) {
    if (has_data_) events->push_back(std::exchange(data_, {}));
    has_data_ = false;
    return;
  }
  const size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "data") {
    if (has_data_) data_.push_back('\n');
    data_.append(value);
    has_data_ = true;
  } else if (!field.empty() && field != "event" && field != "id" && field != "retry") {
    ++unknown_lines_;
  }
}

}  // namespace tenfold::load
