// The forward pass in double precision, one token at a time, written from the papers and for tests only.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "gguf/file.h"
#include "model/config.h"

namespace tenfold::model {

// logits (tokens, vocab) of the whole prompt, row-major. bytes: the file that `file` was parsed from.
std::vector<double> ReferenceForward(const gguf::File& file, std::span<const uint8_t> bytes, const Config& config,
                                     std::span<const int32_t> tokens);

}  // namespace tenfold::model
