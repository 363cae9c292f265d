// The errors that the parts of the reader share.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace tenfold::gguf {

inline Error Corrupt(std::string message) { return {ErrorCode::kCorrupt, std::move(message)}; }
inline Error Unsupported(std::string message) { return {ErrorCode::kUnsupported, std::move(message)}; }

// The file stops inside `what`, which began at byte `start`.
inline Error CutOff(std::string_view what, uint64_t start) {
  return Corrupt(
      fmt::format("{} at byte {} runs past the end of the file: the file is damaged or not fully "
                  "downloaded, fetch it again",
                  what, start));
}

}  // namespace tenfold::gguf
