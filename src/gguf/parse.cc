// File::Parse: the header, the metadata and the tensor index, in file order.
//
// Every count is first weighed against the bytes that are left (a key takes at least 14, a string 8, ...), so memory
// is bounded by a small multiple of the file's own size whatever the file claims.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <numeric>
#include <optional>

#include "base/checked_math.h"
#include "gguf/cursor.h"
#include "gguf/file.h"
#include "gguf/parse_errors.h"
#include "gguf/quote.h"
#include "gguf/read_metadata.h"

namespace tenfold::gguf {
namespace {

constexpr uint64_t kLeastKeyBytes = 8 + 1 + 4 + 1;             // length, name, type, the shortest value
constexpr uint64_t kLeastTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;  // length, name, rank, one dim, type, offset
constexpr uint32_t kMostDims = 4;
constexpr uint64_t kDefaultAlignment = 32;
constexpr uint64_t kLeastAlignment = 8;
constexpr std::string_view kAlignmentKey = "general.alignment";

struct Header {
  uint32_t version = 0;
  uint64_t tensors = 0;
  uint64_t keys = 0;
};

Error WrongMagic(std::span<const uint8_t> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("version https://git-lfs")) {
    return Corrupt("this is a Git LFS pointer, not the model itself: run `git lfs pull` where it came from");
  }
  return Corrupt(
      fmt::format("this is not a GGUF file: it begins with {} instead of \"GGUF\"; give the path of a .gguf "
                  "model file",
                  Quote(text.substr(0, 4))));
}

Status CheckVersion(uint32_t version) {
  if (version == 2 || version == 3) return {};
  if (version == 1) {
    return Unsupported(
        "GGUF version 1 is not supported: convert the model again with a converter that writes version 3");
  }
  const uint32_t swapped = __builtin_bswap32(version);
  if (swapped >= 1 && swapped <= 3) {
    return Unsupported("this GGUF file is big endian: convert the model again for a little-endian machine");
  }
  return Unsupported(fmt::format("GGUF version {} is not supported: this program reads versions 2 and 3", version));
}

Result<Header> ReadHeader(std::span<const uint8_t> bytes, Cursor& cursor) {
  constexpr std::string_view kMagic = "GGUF";
  if (bytes.empty()) return Corrupt("the file is empty: fetch it again");
  const size_t have = std::min(bytes.size(), kMagic.size());
  if (!std::equal(bytes.begin(), bytes.begin() + have, kMagic.begin())) return WrongMagic(bytes);
  std::span<const uint8_t> magic;
  Header header;
  if (!cursor.ReadBytes(kMagic.size(), &magic) || !cursor.Read(&header.version)) return CutOff("the GGUF header", 0);
  TENFOLD_TRY_STATUS(CheckVersion(header.version));
  if (!cursor.Read(&header.tensors) || !cursor.Read(&header.keys)) return CutOff("the GGUF header", 0);
  if (header.keys > cursor.remaining() / kLeastKeyBytes) {
    return Corrupt(
        fmt::format("the GGUF header claims {} metadata keys, more than the {} bytes after it can hold: the "
                    "file is damaged or not fully downloaded, fetch it again",
                    header.keys, cursor.remaining()));
  }
  if (header.tensors > (cursor.remaining() - header.keys * kLeastKeyBytes) / kLeastTensorBytes) {
    return Corrupt(
        fmt::format("the GGUF header claims {} tensors, more than the {} bytes after it can hold: the file "
                    "is damaged or not fully downloaded, fetch it again",
                    header.tensors, cursor.remaining()));
  }
  return header;
}

// Sets info.size_bytes from its type and dims, all checked.
Status Measure(TensorInfo& info) {
  const tensor::DTypeTraits traits = tensor::TraitsOf(info.type);
  const uint64_t row = info.dims[0];
  if (row % traits.block_elems != 0) {
    return Corrupt(
        fmt::format("tensor {} has rows of {} elements, but its type {} comes in blocks of {}: the file is "
                    "damaged or its converter was wrong",
                    Quote(info.name), row, traits.name, traits.block_elems));
  }
  std::optional<uint64_t> elems = 1;
  for (const uint64_t dim : info.dims) elems = elems ? CheckedMul(*elems, dim) : elems;
  std::optional<uint64_t> size = elems ? CheckedMul(*elems / traits.block_elems, traits.block_bytes) : elems;
  if (!size) {
    return Corrupt(
        fmt::format("tensor {} has a shape of [{}], more elements than 64 bits can count: the file is damaged",
                    Quote(info.name), fmt::join(info.dims, ", ")));
  }
  info.size_bytes = *size;
  return {};
}

// One entry of the tensor index; offset_bytes is still relative to the data section.
Result<TensorInfo> ReadTensorInfo(Cursor& cursor, uint64_t number, uint64_t count) {
  const uint64_t start = cursor.position();
  TensorInfo info;
  std::string_view name;
  if (!cursor.ReadString(&name)) return CutOff(fmt::format("the name of tensor {} of {}", number, count), start);
  if (name.empty())
    return Corrupt(fmt::format("tensor {} of {} has an empty name: the file is damaged", number, count));
  info.name = name;
  const auto cut_off = [&] { return CutOff(fmt::format("the description of tensor {}", Quote(name)), start); };
  uint32_t rank;
  if (!cursor.Read(&rank)) return cut_off();
  if (rank < 1 || rank > kMostDims) {
    return Corrupt(fmt::format("tensor {} has {} dimensions, but only 1 to {} are possible: the file is damaged",
                               Quote(name), rank, kMostDims));
  }
  info.dims.resize(rank);
  for (uint64_t& dim : info.dims) {
    if (!cursor.Read(&dim)) return cut_off();
    if (dim == 0) return Corrupt(fmt::format("tensor {} has a dimension of 0: the file is damaged", Quote(name)));
  }
  uint32_t type_id;
  if (!cursor.Read(&type_id) || !cursor.Read(&info.offset_bytes)) return cut_off();
  if (!tensor::TraitsOf(type_id)) {
    return Unsupported(
        fmt::format("tensor {} has type id {}, which this program does not know: convert the model to "
                    "Q4_K_M, Q6_K, Q8_0 or F16",
                    Quote(name), type_id));
  }
  info.type = static_cast<tensor::DType>(type_id);
  TENFOLD_TRY_STATUS(Measure(info));
  return info;
}

// Turns info.offset_bytes into a place in the file and checks it.
Status Place(TensorInfo& info, uint64_t alignment, uint64_t data_start, uint64_t file_bytes) {
  if (info.offset_bytes % alignment != 0) {
    return Corrupt(
        fmt::format("tensor {} is at offset {}, which is not a multiple of the file's alignment {}: the file is "
                    "damaged",
                    Quote(info.name), info.offset_bytes, alignment));
  }
  const std::optional<uint64_t> start = CheckedAdd(data_start, info.offset_bytes);
  const std::optional<uint64_t> end = start ? CheckedAdd(*start, info.size_bytes) : start;
  if (!end || *end > file_bytes) {
    return Corrupt(
        fmt::format("tensor {} needs {} bytes at offset {} of the data, which begins at byte {}, but the file "
                    "has only {} bytes: it is damaged or not fully downloaded, fetch it again",
                    Quote(info.name), info.size_bytes, info.offset_bytes, data_start, file_bytes));
  }
  info.offset_bytes = *start;
  return {};
}

Status CheckOverlaps(const std::vector<TensorInfo>& tensors) {
  std::vector<uint32_t> order(tensors.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return tensors[a].offset_bytes < tensors[b].offset_bytes; });
  for (size_t i = 1; i < order.size(); ++i) {
    const TensorInfo& before = tensors[order[i - 1]];
    const TensorInfo& after = tensors[order[i]];
    if (before.offset_bytes + before.size_bytes > after.offset_bytes) {
      return Corrupt(fmt::format("tensors {} and {} overlap in the file: the file is damaged", Quote(before.name),
                                 Quote(after.name)));
    }
  }
  return {};
}

}  // namespace

Result<File> File::Parse(std::span<const uint8_t> bytes) {
  Cursor cursor(bytes);
  File file;
  TENFOLD_TRY(const Header header, ReadHeader(bytes, cursor));
  file.version_ = header.version;
  TENFOLD_TRY(file.metadata_, ReadMetadata(cursor, header.keys));
  TENFOLD_TRY(file.alignment_, file.GetUintOr(kAlignmentKey, kDefaultAlignment));
  if (!std::has_single_bit(file.alignment_) || file.alignment_ < kLeastAlignment) {
    return Corrupt(
        fmt::format("metadata key {} is {}, but it must be a power of two and at least {}: the file is damaged",
                    Quote(kAlignmentKey), file.alignment_, kLeastAlignment));
  }
  file.tensors_.reserve(std::min(header.tensors, cursor.remaining() / kLeastTensorBytes));
  for (uint64_t i = 0; i < header.tensors; ++i) {
    TENFOLD_TRY(TensorInfo info, ReadTensorInfo(cursor, i + 1, header.tensors));
    if (!file.tensor_index_.try_emplace(info.name, i).second) {
      return Corrupt(fmt::format("tensor {} appears twice: the file is damaged", Quote(info.name)));
    }
    file.tensors_.push_back(std::move(info));
  }
  const std::optional<uint64_t> data_start = CheckedRoundUp(cursor.position(), file.alignment_);
  if (!data_start)
    return Corrupt(fmt::format("metadata key {} is too large: the file is damaged", Quote(kAlignmentKey)));
  file.data_offset_bytes_ = *data_start;
  for (TensorInfo& info : file.tensors_) {
    TENFOLD_TRY_STATUS(Place(info, file.alignment_, *data_start, bytes.size()));
  }
  TENFOLD_TRY_STATUS(CheckOverlaps(file.tensors_));
  return file;
}

}  // namespace tenfold::gguf
