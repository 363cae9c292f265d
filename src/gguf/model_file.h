// A model on disk, in one file or in several: everything mapped (or read), one index over all of it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "gguf/file.h"
#include "platform/memory.h"

namespace tenfold::gguf {

// Movable. Reading is safe from any thread.
class ModelFile {
 public:
  // path: a whole model, or the first part of a split one, whose other parts lie beside it. Touches headers only.
  // Errors as File::Parse; those about a part name its path. kInvalidArgument with the right path for a later part,
  // kNotFound for a missing one, kCorrupt for parts that were swapped, doubled or mixed.
  // `open`: how each part is brought into memory.
  using Opener = std::function<Result<platform::MappedFile>(const std::string& path)>;
  static Result<ModelFile> Open(const std::string& path, const Opener& open = platform::MappedFile::Open);

  const File& file() const { return file_; }
  uint64_t parts() const { return maps_.size(); }
  uint64_t size_bytes() const;  // of all parts
  // Where the tensor begins when all parts are laid end to end.
  uint64_t PositionOf(const TensorInfo& tensor) const;

  // `tensor` must be one of file().tensors().
  std::span<const uint8_t> TensorBytes(const TensorInfo& tensor) const;
  // Hints about bytes [offset, offset + length) of a tensor, as MappedFile's: read them ahead, enter them into the page
  // table, give their pages back.
  void WillNeed(const TensorInfo& tensor, uint64_t offset, uint64_t length) const;
  void Enter(const TensorInfo& tensor, uint64_t offset, uint64_t length) const;
  void Release(const TensorInfo& tensor, uint64_t offset, uint64_t length) const;

 private:
  ModelFile() = default;
  File file_;
  std::vector<platform::MappedFile> maps_;  // by TensorInfo::part
};

}  // namespace tenfold::gguf
