#include "gguf/model_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "gguf/parse_errors.h"
#include "gguf/split.h"

namespace tenfold::gguf {
namespace {

Error Argument(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

// The paths of all parts of the model whose first part is at `path`.
Result<std::vector<std::string>> PathsOfParts(const std::string& path, const SplitKeys& keys) {
  const std::optional<PartName> name = ParsePartName(path);
  const bool named_right = name && name->count == keys.count;
  if (named_right && name->number != keys.number + 1) {
    return Corrupt(
        fmt::format("its name says part {} of {}, but it says that it is part {}: parts were swapped or copied "
                    "over each other, fetch them again",
                    name->number, keys.count, keys.number + 1));
  }
  if (keys.number != 0) {
    const std::string first =
        named_right ? fmt::format("'{}'", MakePartName(name->stem, 1, keys.count)) : "the file whose split.no is 0";
    return Argument(fmt::format("this is part {} of {} of a split model: give the path of its first part, {}",
                                keys.number + 1, keys.count, first));
  }
  if (!named_right) {
    return Argument(
        fmt::format("this is the first of {0} parts of a split model, but it is not named "
                    "NAME-00001-of-{0:05}.gguf, so the others cannot be found: give all parts their names "
                    "back",
                    keys.count));
  }
  std::vector<std::string> paths;
  for (uint64_t number = 1; number <= keys.count; ++number) {
    paths.push_back(MakePartName(name->stem, number, keys.count));
  }
  return paths;
}

// An error about a later part names it.
Error InPart(const Error& error, const std::string& path, uint64_t number, uint64_t count) {
  if (error.code == ErrorCode::kNotFound) {
    return {error.code, fmt::format("part {} of {} is missing: {}; all parts must lie in one folder", number, count,
                                    error.message)};
  }
  const bool named = error.message.find(fmt::format("'{}'", path)) != std::string::npos;
  return {error.code, named ? fmt::format("part {} of {}: {}", number, count, error.message)
                            : fmt::format("part {} of {}, '{}': {}", number, count, path, error.message)};
}

}  // namespace

Result<ModelFile> ModelFile::Open(const std::string& path, const Opener& open) {
  ModelFile model;
  TENFOLD_TRY(platform::MappedFile first_map, open(path));
  TENFOLD_TRY(File first, File::Parse(first_map.bytes()));
  TENFOLD_TRY(const std::optional<SplitKeys> keys, ReadSplitKeys(first));
  model.maps_.push_back(std::move(first_map));
  if (!keys) {
    model.file_ = std::move(first);
    return model;
  }
  TENFOLD_TRY(const std::vector<std::string> paths, PathsOfParts(path, *keys));
  std::vector<File> parts;
  parts.push_back(std::move(first));
  for (size_t i = 1; i < paths.size(); ++i) {
    auto map = open(paths[i]);
    if (!map.ok()) return InPart(map.error(), paths[i], i + 1, keys->count);
    auto part = File::Parse(map->bytes());
    if (!part.ok()) return InPart(part.error(), paths[i], i + 1, keys->count);
    model.maps_.push_back(std::move(map).value());
    parts.push_back(std::move(part).value());
  }
  TENFOLD_TRY(model.file_, File::Join(std::move(parts), paths));
  return model;
}

uint64_t ModelFile::size_bytes() const {
  uint64_t total = 0;
  for (const platform::MappedFile& map : maps_) total += map.bytes().size();
  return total;
}

uint64_t ModelFile::PositionOf(const TensorInfo& tensor) const {
  uint64_t position = tensor.offset_bytes;
  for (uint64_t part = 0; part < tensor.part; ++part) position += maps_[part].bytes().size();
  return position;
}

std::span<const uint8_t> ModelFile::TensorBytes(const TensorInfo& tensor) const {
  return maps_[tensor.part].bytes().subspan(tensor.offset_bytes, tensor.size_bytes);
}

void ModelFile::WillNeed(const TensorInfo& tensor, uint64_t offset, uint64_t length) const {
  maps_[tensor.part].WillNeed(tensor.offset_bytes + offset, length);
}

void ModelFile::Enter(const TensorInfo& tensor, uint64_t offset, uint64_t length) const {
  maps_[tensor.part].Enter(tensor.offset_bytes + offset, length);
}

void ModelFile::Release(const TensorInfo& tensor, uint64_t offset, uint64_t length) const {
  maps_[tensor.part].Release(tensor.offset_bytes + offset, length);
}

}  // namespace tenfold::gguf
