// Names from a file, made fit for a log line and a JSON string.
#pragma once

#include <string>
#include <string_view>

namespace tenfold::gguf {

// name between double quotes: bytes outside printable ASCII, quotes and backslashes as \xNN, and at most 100 bytes of
// it, so that a hostile name can neither forge a log line nor fill a disk.
std::string Quote(std::string_view name);

}  // namespace tenfold::gguf
