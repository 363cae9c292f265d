// Everything but plain printable ASCII is escaped: messages end in logs, JSON and terminals.
#include "gguf/quote.h"

#include <fmt/format.h>

#include <iterator>

namespace tenfold::gguf {

std::string Quote(std::string_view name) {
  constexpr size_t kLongest = 100;
  std::string out = "\"";
  for (const char c : name.substr(0, kLongest)) {
    if (c >= ' ' && c <= '~' && c != '"' && c != '\\') {
      out += c;
    } else {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  if (name.size() > kLongest) out += "...";
  return out += '"';
}

}  // namespace tenfold::gguf
