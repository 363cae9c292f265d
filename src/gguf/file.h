// A GGUF file's metadata and tensor index, parsed from hostile bytes (v2 and v3, little endian).
//
// What it does: checks every length, type, offset and overlap before use, and names the key or tensor in its errors.
// What it does not: interpret metadata (model/ and tokenizer/ do) or own the bytes (the caller keeps the mapping alive
// only while it parses; tensor data is addressed by offset).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "tensor/dtype.h"

namespace tenfold::gguf {

// One array, by the element type written in the file. Nested arrays are refused: no model file uses them.
using ArrayValue =
    std::variant<std::vector<uint8_t>, std::vector<int8_t>, std::vector<uint16_t>, std::vector<int16_t>,
                 std::vector<uint32_t>, std::vector<int32_t>, std::vector<uint64_t>, std::vector<int64_t>,
                 std::vector<float>, std::vector<double>, std::vector<std::string>, std::vector<bool>>;
// One metadata value, by the type written in the file.
using Value = std::variant<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, uint64_t, int64_t, float, double,
                           bool, std::string, ArrayValue>;

// A tensor as the file describes it. dims[0] is the contiguous dimension: a matrix (rows, cols) has dims {cols, rows}.
struct TensorInfo {
  std::string name;
  tensor::DType type = tensor::DType::kF32;
  std::vector<uint64_t> dims;  // 1..4 entries, each >= 1
  uint64_t offset_bytes = 0;   // from the start of the file (of its part)
  uint64_t size_bytes = 0;     // checked to lie inside the file
  uint32_t part = 0;           // which part of a split model holds it
};

class File {
 public:
  // bytes: the whole file. O(header size); copies metadata, never touches tensor data, and allocates no more than a
  // small multiple of bytes.size(). Errors: kCorrupt when the bytes contradict the format (or are not GGUF at all),
  // kUnsupported for another version, a big-endian file, nested arrays and unknown tensor types. Tensor types that are
  // known but not computable are accepted here; whoever needs the weights refuses them. Any thread.
  static Result<File> Parse(std::span<const uint8_t> bytes);

  // The parts of a split model, in order, as one file with the first part's metadata (split.cc). names: their paths,
  // for errors. kCorrupt when the parts contradict each other: swapped, doubled, of different models, not all there.
  static Result<File> Join(std::vector<File> parts, std::span<const std::string> names);

  uint32_t version() const { return version_; }
  uint64_t alignment() const { return alignment_; }
  // Where tensor data begins; past the end of the bytes only in a file without tensors.
  uint64_t data_offset_bytes() const { return data_offset_bytes_; }
  const std::map<std::string, Value, std::less<>>& metadata() const { return metadata_; }
  const std::vector<TensorInfo>& tensors() const { return tensors_; }

  // nullptr when absent.
  const Value* FindValue(std::string_view key) const;
  const TensorInfo* FindTensor(std::string_view name) const;

  // Typed reads. An error names the key, what was wanted and what is there: kNotFound when the key is missing, kCorrupt
  // when its value has another type. Integers, floats and their arrays are accepted in any width, where they fit.
  // Pointers live as long as the File.
  Result<std::string> GetString(std::string_view key) const;
  Result<uint64_t> GetUint(std::string_view key) const;
  Result<double> GetFloat(std::string_view key) const;
  Result<bool> GetBool(std::string_view key) const;
  Result<const std::vector<std::string>*> GetStrings(std::string_view key) const;
  Result<std::vector<int64_t>> GetInts(std::string_view key) const;
  Result<std::vector<float>> GetFloats(std::string_view key) const;
  // The same, with a default for a missing key only: a key of the wrong type is still an error.
  Result<uint64_t> GetUintOr(std::string_view key, uint64_t fallback) const;
  Result<double> GetFloatOr(std::string_view key, double fallback) const;
  Result<bool> GetBoolOr(std::string_view key, bool fallback) const;
  Result<std::string> GetStringOr(std::string_view key, std::string fallback) const;

 private:
  uint32_t version_ = 0;
  uint64_t alignment_ = 32;
  uint64_t data_offset_bytes_ = 0;
  std::map<std::string, Value, std::less<>> metadata_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, size_t, std::less<>> tensor_index_;
};

}  // namespace tenfold::gguf
