// The metadata section of a GGUF file.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"
#include "gguf/cursor.h"
#include "gguf/file.h"

namespace tenfold::gguf {

using Metadata = std::map<std::string, Value, std::less<>>;

// Reads `count` keys with their values. The errors are File::Parse's. Pure, any thread.
Result<Metadata> ReadMetadata(Cursor& cursor, uint64_t count);

}  // namespace tenfold::gguf
