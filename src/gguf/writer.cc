// Serialises in one pass: header, metadata, tensor index, then the data, each tensor padded to the alignment.
#include "gguf/writer.h"

#include <cstring>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "base/checked_math.h"
#include "gguf/value_type.h"

namespace tenfold::gguf {
namespace {

template <class T>
constexpr ValueType TypeOf() {
  if constexpr (std::is_same_v<T, uint8_t>) return ValueType::kUint8;
  if constexpr (std::is_same_v<T, int8_t>) return ValueType::kInt8;
  if constexpr (std::is_same_v<T, uint16_t>) return ValueType::kUint16;
  if constexpr (std::is_same_v<T, int16_t>) return ValueType::kInt16;
  if constexpr (std::is_same_v<T, uint32_t>) return ValueType::kUint32;
  if constexpr (std::is_same_v<T, int32_t>) return ValueType::kInt32;
  if constexpr (std::is_same_v<T, uint64_t>) return ValueType::kUint64;
  if constexpr (std::is_same_v<T, int64_t>) return ValueType::kInt64;
  if constexpr (std::is_same_v<T, float>) return ValueType::kFloat32;
  if constexpr (std::is_same_v<T, double>) return ValueType::kFloat64;
  if constexpr (std::is_same_v<T, bool>) return ValueType::kBool;
  if constexpr (std::is_same_v<T, std::string>) return ValueType::kString;
  if constexpr (std::is_same_v<T, ArrayValue>) return ValueType::kArray;
}

class Output {
 public:
  template <class T>
  void Number(T number) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof number);
    std::memcpy(bytes_.data() + at, &number, sizeof number);
  }

  void Bytes(std::span<const uint8_t> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }

  void Text(std::string_view text) {
    Number(static_cast<uint64_t>(text.size()));
    bytes_.insert(bytes_.end(), text.begin(), text.end());
  }

  template <class T>
  void Element(const T& element) {
    if constexpr (std::is_same_v<T, bool>) {
      Number(static_cast<uint8_t>(element));
    } else if constexpr (std::is_same_v<T, std::string>) {
      Text(element);
    } else {
      Number(element);
    }
  }

  void Array(const ArrayValue& array) {
    std::visit(
        [this](const auto& elements) {
          using T = typename std::decay_t<decltype(elements)>::value_type;
          Number(static_cast<uint32_t>(TypeOf<T>()));
          Number(static_cast<uint64_t>(elements.size()));
          for (const auto& element : elements) Element<T>(element);
        },
        array);
  }

  void TypedValue(const Value& value) {
    std::visit(
        [this](const auto& v) {
          using T = std::decay_t<decltype(v)>;
          Number(static_cast<uint32_t>(TypeOf<T>()));
          if constexpr (std::is_same_v<T, ArrayValue>) {
            Array(v);
          } else {
            Element<T>(v);
          }
        },
        value);
  }

  void PadTo(uint64_t alignment) { bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment, 0); }

  std::vector<uint8_t> Take() { return std::move(bytes_); }

 private:
  std::vector<uint8_t> bytes_;
};

uint64_t PaddedSize(uint64_t size, uint64_t alignment) { return (size + alignment - 1) / alignment * alignment; }

}  // namespace

void Writer::Set(std::string_view key, Value value) {
  for (auto& [known, old] : metadata_) {
    if (known == key) {
      old = std::move(value);
      return;
    }
  }
  metadata_.emplace_back(key, std::move(value));
}

void Writer::AddTensor(std::string_view name, tensor::DType type, std::vector<uint64_t> dims,
                       std::span<const uint8_t> data) {
  TENFOLD_CHECK(!dims.empty() && dims.size() <= 4, "a tensor has 1 to 4 dimensions");
  uint64_t bytes = tensor::RowBytes(type, dims[0]);
  for (size_t i = 1; i < dims.size(); ++i) bytes *= dims[i];
  TENFOLD_CHECK(bytes == data.size(), "tensor data does not match its shape and type");
  tensors_.push_back({std::string(name), type, std::move(dims), {data.begin(), data.end()}});
}

std::vector<std::vector<uint8_t>> Writer::SerializeParts(std::span<const size_t> counts) const {
  std::vector<std::vector<uint8_t>> files;
  size_t first = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    TENFOLD_CHECK(counts[i] <= tensors_.size() - first, "the parts have more tensors than the model");
    Writer part;
    if (i == 0) part.metadata_ = metadata_;
    part.Set("split.no", static_cast<uint16_t>(i));
    part.Set("split.count", static_cast<uint16_t>(counts.size()));
    part.Set("split.tensors.count", static_cast<int32_t>(tensors_.size()));
    const auto from = tensors_.begin() + static_cast<ptrdiff_t>(first);
    part.tensors_.assign(from, from + static_cast<ptrdiff_t>(counts[i]));
    files.push_back(part.Serialize());
    first += counts[i];
  }
  TENFOLD_CHECK(first == tensors_.size(), "the parts have fewer tensors than the model");
  return files;
}

std::vector<uint8_t> Writer::Serialize() const {
  uint64_t alignment = 32;
  for (const auto& [key, value] : metadata_) {
    if (key != "general.alignment") continue;
    if (const uint32_t* wanted = std::get_if<uint32_t>(&value)) alignment = *wanted;
  }
  TENFOLD_CHECK(alignment > 0, "general.alignment must not be 0");

  Output out;
  for (const char c : std::string_view("GGUF")) out.Number(c);
  out.Number(uint32_t{3});
  out.Number(static_cast<uint64_t>(tensors_.size()));
  out.Number(static_cast<uint64_t>(metadata_.size()));
  for (const auto& [key, value] : metadata_) {
    out.Text(key);
    out.TypedValue(value);
  }
  uint64_t offset = 0;
  for (const Tensor& tensor : tensors_) {
    out.Text(tensor.name);
    out.Number(static_cast<uint32_t>(tensor.dims.size()));
    for (const uint64_t dim : tensor.dims) out.Number(dim);
    out.Number(static_cast<uint32_t>(tensor.type));
    out.Number(offset);
    offset += PaddedSize(tensor.data.size(), alignment);
  }
  for (const Tensor& tensor : tensors_) {
    out.PadTo(alignment);
    out.Bytes(tensor.data);
  }
  out.PadTo(alignment);
  return out.Take();
}

}  // namespace tenfold::gguf
