// Writes GGUF v3 files for tests and tools.
//
// What it does: holds everything in memory and hands back the bytes. What it does not: check that the metadata means
// anything, or stream files larger than memory; nothing a user runs writes models.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gguf/file.h"

namespace tenfold::gguf {

class Writer {
 public:
  // Setting a key again replaces its value. A string literal becomes a string.
  void Set(std::string_view key, Value value);
  // data: the tensor's bytes in GGUF layout, RowBytes(type, dims[0]) * product(dims[1..]) of them.
  void AddTensor(std::string_view name, tensor::DType type, std::vector<uint64_t> dims, std::span<const uint8_t> data);
  // The whole file, tensors aligned to general.alignment (32 unless set).
  std::vector<uint8_t> Serialize() const;
  // The same as several files, as llama.cpp's splitter writes them: the next counts[i] tensors in part i, all metadata
  // in the first. The counts must add up to the number of tensors; there are at least two.
  std::vector<std::vector<uint8_t>> SerializeParts(std::span<const size_t> counts) const;

 private:
  struct Tensor {
    std::string name;
    tensor::DType type;
    std::vector<uint64_t> dims;
    std::vector<uint8_t> data;
  };
  std::vector<std::pair<std::string, Value>> metadata_;
  std::vector<Tensor> tensors_;
};

}  // namespace tenfold::gguf
