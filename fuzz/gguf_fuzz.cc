// Any bytes at all through the GGUF reader: parse, and if that succeeds, read every key by every getter and dequantise
// the first row of every tensor we can compute with. Finds crashes, overreads, undefined behaviour and hangs.
// Where the input holds the mark "<NEXT PART>", it is cut there and read as the parts of a split model, which are
// joined.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "gguf/file.h"
#include "gguf/split.h"
#include "tensor/dequantize.h"

namespace {

using tenfold::gguf::File;
using tenfold::gguf::TensorInfo;

template <class T>
void ExpectSentenceUnlessOk(const tenfold::Result<T>& result) {
  if (result.ok()) return;
  const std::string& message = result.error().message;
  TENFOLD_CHECK(!message.empty() && message.find('\n') == std::string::npos, "an error must be one sentence");
}

void ReadEveryWay(const File& file, const std::string& key) {
  ExpectSentenceUnlessOk(file.GetString(key));
  ExpectSentenceUnlessOk(file.GetUint(key));
  ExpectSentenceUnlessOk(file.GetFloat(key));
  ExpectSentenceUnlessOk(file.GetBool(key));
  ExpectSentenceUnlessOk(file.GetStrings(key));
  ExpectSentenceUnlessOk(file.GetInts(key));
  ExpectSentenceUnlessOk(file.GetFloats(key));
  ExpectSentenceUnlessOk(file.GetUintOr(key, 1));
  ExpectSentenceUnlessOk(file.GetFloatOr(key, 1));
  ExpectSentenceUnlessOk(file.GetBoolOr(key, true));
  ExpectSentenceUnlessOk(file.GetStringOr(key, ""));
}

void DequantizeFirstRow(std::span<const uint8_t> bytes, const TensorInfo& info) {
  const uint64_t row_bytes = tenfold::tensor::RowBytes(info.type, info.dims[0]);
  TENFOLD_CHECK(info.offset_bytes <= bytes.size() && info.size_bytes <= bytes.size() - info.offset_bytes,
                "a tensor outside the file");
  TENFOLD_CHECK(row_bytes <= info.size_bytes, "a row larger than its tensor");
  std::vector<float> row(info.dims[0]);
  tenfold::tensor::DequantizeRow(info.type, bytes.data() + info.offset_bytes, row.size(), row.data());
}

void CheckWhole(const File& file) {
  for (const auto& [key, value] : file.metadata()) ReadEveryWay(file, key);
  for (const TensorInfo& info : file.tensors()) {
    TENFOLD_CHECK(file.FindTensor(info.name) == &info, "a tensor that its own name does not find");
  }
}

// Between marks, at most eight.
std::vector<std::span<const uint8_t>> Parts(std::span<const uint8_t> bytes) {
  constexpr std::string_view kMark = "<NEXT PART>";
  std::vector<std::span<const uint8_t>> parts;
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  size_t begin = 0;
  for (size_t at = text.find(kMark); at != std::string_view::npos && parts.size() < 7; at = text.find(kMark, begin)) {
    parts.push_back(bytes.subspan(begin, at - begin));
    begin = at + kMark.size();
  }
  parts.push_back(bytes.subspan(begin));
  return parts;
}

void CheckJoined(std::span<const std::span<const uint8_t>> parts) {
  std::vector<File> files;
  std::vector<std::string> names;
  for (const std::span<const uint8_t> part : parts) {
    tenfold::Result<File> file = File::Parse(part);
    ExpectSentenceUnlessOk(file);
    if (!file.ok()) return;
    ExpectSentenceUnlessOk(tenfold::gguf::ReadSplitKeys(*file));
    files.push_back(std::move(file).value());
    names.push_back(tenfold::gguf::MakePartName("fuzz", names.size() + 1, parts.size()));
  }
  const tenfold::Result<File> joined = File::Join(std::move(files), names);
  ExpectSentenceUnlessOk(joined);
  if (!joined.ok()) return;
  CheckWhole(*joined);
  for (const TensorInfo& info : joined->tensors()) {
    TENFOLD_CHECK(info.part < parts.size(), "a tensor in no part");
    if (tenfold::tensor::IsComputable(info.type)) DequantizeFirstRow(parts[info.part], info);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> bytes(data, size);
  const std::vector<std::span<const uint8_t>> parts = Parts(bytes);
  if (parts.size() > 1) {
    CheckJoined(parts);
    return 0;
  }
  const tenfold::Result<File> file = File::Parse(bytes);
  ExpectSentenceUnlessOk(file);
  if (!file.ok()) return 0;
  CheckWhole(*file);
  for (const TensorInfo& info : file->tensors()) {
    if (tenfold::tensor::IsComputable(info.type)) DequantizeFirstRow(bytes, info);
  }
  return 0;
}
