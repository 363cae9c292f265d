// Any bytes at all through the GGUF reader: parse, and if that succeeds, read every key by every getter and dequantise
// the first row of every tensor we can compute with. Finds crashes, overreads, undefined behaviour and hangs.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/check.h"
#include "gguf/file.h"
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> bytes(data, size);
  const tenfold::Result<File> file = File::Parse(bytes);
  ExpectSentenceUnlessOk(file);
  if (!file.ok()) return 0;
  for (const auto& [key, value] : file->metadata()) ReadEveryWay(*file, key);
  for (const TensorInfo& info : file->tensors()) {
    TENFOLD_CHECK(file->FindTensor(info.name) == &info, "a tensor that its own name does not find");
    if (tenfold::tensor::IsComputable(info.type)) DequantizeFirstRow(bytes, info);
  }
  return 0;
}
