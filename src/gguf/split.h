// Models in several files, NAME-00001-of-00003.gguf and so on, as llama.cpp's splitter writes them: the metadata is in
// the first part, every part has its own tensor index and says which part of how many it is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "gguf/file.h"

namespace tenfold::gguf {

// What a part says about itself: the keys split.no, split.count and split.tensors.count.
struct SplitKeys {
  uint64_t number = 0;   // 0-based, below count
  uint64_t count = 0;    // 2 .. kMostParts
  uint64_t tensors = 0;  // of the whole model
};
inline constexpr uint64_t kMostParts = 99'999;  // five digits in the name

// Nothing for a whole model. Errors (kCorrupt) name the key.
Result<std::optional<SplitKeys>> ReadSplitKeys(const File& file);

// A path that ends in -NNNNN-of-NNNNN.gguf.
struct PartName {
  std::string_view stem;  // everything before the ending, folder included
  uint64_t number = 0;    // 1-based, as in the name
  uint64_t count = 0;
};
// Nothing for another path, and for a number that is not 1 .. count.
std::optional<PartName> ParsePartName(std::string_view path);
// number: 1-based.
std::string MakePartName(std::string_view stem, uint64_t number, uint64_t count);

}  // namespace tenfold::gguf
