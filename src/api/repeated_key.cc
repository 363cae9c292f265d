#include "api/repeated_key.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <limits>
#include <utility>
#include <vector>

namespace tenfold::api {
namespace {

namespace json = boost::json;
using boost::json::string_view;

// What Boost's parser calls while it reads; false stops it.
class KeyWatcher {
 public:
  static constexpr size_t max_object_size = std::numeric_limits<size_t>::max();
  static constexpr size_t max_array_size = std::numeric_limits<size_t>::max();
  static constexpr size_t max_key_size = std::numeric_limits<size_t>::max();
  static constexpr size_t max_string_size = std::numeric_limits<size_t>::max();

  std::optional<std::string> repeated;

  bool on_document_begin(json::error_code& /*ec*/) { return true; }
  bool on_document_end(json::error_code& /*ec*/) { return true; }
  bool on_object_begin(json::error_code& /*ec*/) {
    levels_.push_back({.is_array = false});
    return true;
  }
  bool on_array_begin(json::error_code& /*ec*/) {
    levels_.push_back({.is_array = true});
    return true;
  }
  bool on_key_part(string_view part, size_t /*n*/, json::error_code& /*ec*/) {
    key_.append(part.data(), part.size());
    return true;
  }
  bool on_key(string_view part, size_t /*n*/, json::error_code& /*ec*/) {
    key_.append(part.data(), part.size());
    levels_.back().at = key_;
    levels_.back().keys.push_back(std::exchange(key_, {}));
    return true;
  }
  bool on_object_end(size_t /*n*/, json::error_code& ec) {
    std::vector<std::string>& keys = levels_.back().keys;
    std::sort(keys.begin(), keys.end());
    const auto twice = std::adjacent_find(keys.begin(), keys.end());
    if (twice != keys.end()) {
      levels_.back().at = *twice;
      repeated = Path();
      ec = json::error::syntax;
      return false;
    }
    levels_.pop_back();
    return ValueEnds();
  }
  bool on_array_end(size_t /*n*/, json::error_code& /*ec*/) {
    levels_.pop_back();
    return ValueEnds();
  }
  bool on_string_part(string_view /*part*/, size_t /*n*/, json::error_code& /*ec*/) { return true; }
  bool on_string(string_view /*part*/, size_t /*n*/, json::error_code& /*ec*/) { return ValueEnds(); }
  bool on_number_part(string_view /*part*/, json::error_code& /*ec*/) { return true; }
  bool on_int64(int64_t /*value*/, string_view /*part*/, json::error_code& /*ec*/) { return ValueEnds(); }
  bool on_uint64(uint64_t /*value*/, string_view /*part*/, json::error_code& /*ec*/) { return ValueEnds(); }
  bool on_double(double /*value*/, string_view /*part*/, json::error_code& /*ec*/) { return ValueEnds(); }
  bool on_bool(bool /*value*/, json::error_code& /*ec*/) { return ValueEnds(); }
  bool on_null(json::error_code& /*ec*/) { return ValueEnds(); }
  bool on_comment_part(string_view /*part*/, json::error_code& /*ec*/) { return true; }
  bool on_comment(string_view /*part*/, json::error_code& /*ec*/) { return true; }

 private:
  // One object or array that is open.
  struct Level {
    bool is_array = false;
    size_t index = 0;                 // of the element being read
    std::string at{};                 // key of the member being read
    std::vector<std::string> keys{};  // all so far
  };

  bool ValueEnds() {
    if (!levels_.empty()) ++levels_.back().index;
    return true;
  }
  std::string Path() const {
    std::string path;
    for (const Level& level : levels_) {
      if (level.is_array) {
        path += fmt::format("[{}]", level.index);
      } else {
        path += (path.empty() ? "" : ".") + level.at;
      }
    }
    return path;
  }

  std::vector<Level> levels_;
  std::string key_;
};

}  // namespace

std::optional<std::string> FindRepeatedKey(std::string_view text, size_t max_depth) {
  json::parse_options options;
  options.max_depth = max_depth;
  json::basic_parser<KeyWatcher> parser(options);
  json::error_code ec;
  parser.write_some(false, text.data(), text.size(), ec);
  return std::move(parser.handler().repeated);
}

}  // namespace tenfold::api
