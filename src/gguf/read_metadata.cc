// Keys and values, each by the type the file gives it.
#include "gguf/read_metadata.h"

#include <fmt/format.h>

#include <cstring>
#include <optional>

#include "gguf/parse_errors.h"
#include "gguf/quote.h"
#include "gguf/value_type.h"

namespace tenfold::gguf {
namespace {

// Reads values of one metadata key, which its errors name.
class ValueReader {
 public:
  ValueReader(Cursor& cursor, std::string_view key) : cursor_(cursor), key_(key) {}

  Result<Value> Read(uint32_t type_id) {
    switch (static_cast<ValueType>(type_id)) {
      case ValueType::kUint8:
        return Number<uint8_t>();
      case ValueType::kInt8:
        return Number<int8_t>();
      case ValueType::kUint16:
        return Number<uint16_t>();
      case ValueType::kInt16:
        return Number<int16_t>();
      case ValueType::kUint32:
        return Number<uint32_t>();
      case ValueType::kInt32:
        return Number<int32_t>();
      case ValueType::kUint64:
        return Number<uint64_t>();
      case ValueType::kInt64:
        return Number<int64_t>();
      case ValueType::kFloat32:
        return Number<float>();
      case ValueType::kFloat64:
        return Number<double>();
      case ValueType::kBool:
        return Bool();
      case ValueType::kString:
        return String();
      case ValueType::kArray:
        return Array();
    }
    return Corrupt(
        fmt::format("{} has value type {}, which GGUF does not define: the file is damaged", Name(), type_id));
  }

 private:
  std::string Name() const { return fmt::format("metadata key {}", Quote(key_)); }
  Error ValueCutOff() const { return CutOff(fmt::format("the value of {}", Name()), cursor_.position()); }
  Error NotABool(uint8_t byte) const {
    return Corrupt(fmt::format("{} holds a bool of {}, not 0 or 1: the file is damaged", Name(), byte));
  }

  template <class T>
  Result<Value> Number() {
    T number;
    if (!cursor_.Read(&number)) return ValueCutOff();
    return Value(number);
  }

  Result<Value> Bool() {
    uint8_t byte;
    if (!cursor_.Read(&byte)) return ValueCutOff();
    if (byte > 1) return NotABool(byte);
    return Value(byte == 1);
  }

  Result<Value> String() {
    std::string_view text;
    if (!cursor_.ReadString(&text)) return ValueCutOff();
    return Value(std::string(text));
  }

  Result<Value> Array() {
    uint32_t type_id;
    uint64_t count;
    if (!cursor_.Read(&type_id) || !cursor_.Read(&count)) return ValueCutOff();
    switch (static_cast<ValueType>(type_id)) {
      case ValueType::kUint8:
        return Numbers<uint8_t>(count);
      case ValueType::kInt8:
        return Numbers<int8_t>(count);
      case ValueType::kUint16:
        return Numbers<uint16_t>(count);
      case ValueType::kInt16:
        return Numbers<int16_t>(count);
      case ValueType::kUint32:
        return Numbers<uint32_t>(count);
      case ValueType::kInt32:
        return Numbers<int32_t>(count);
      case ValueType::kUint64:
        return Numbers<uint64_t>(count);
      case ValueType::kInt64:
        return Numbers<int64_t>(count);
      case ValueType::kFloat32:
        return Numbers<float>(count);
      case ValueType::kFloat64:
        return Numbers<double>(count);
      case ValueType::kBool:
        return Bools(count);
      case ValueType::kString:
        return Strings(count);
      case ValueType::kArray:
        return Unsupported(fmt::format("{} is an array of arrays, which is not supported", Name()));
    }
    return Corrupt(
        fmt::format("{} is an array of type {}, which GGUF does not define: the file is damaged", Name(), type_id));
  }

  // Nothing when `count` elements of at least `least_bytes` each can lie in what is left.
  std::optional<Error> TooMany(uint64_t count, uint64_t least_bytes) const {
    if (count <= cursor_.remaining() / least_bytes) return std::nullopt;
    return Corrupt(
        fmt::format("{} claims {} elements, more than the {} bytes after it can hold: the file is damaged or "
                    "not fully downloaded, fetch it again",
                    Name(), count, cursor_.remaining()));
  }

  template <class T>
  Result<Value> Numbers(uint64_t count) {
    if (auto error = TooMany(count, sizeof(T))) return *std::move(error);
    std::span<const uint8_t> bytes;
    if (!cursor_.ReadBytes(count * sizeof(T), &bytes)) return ValueCutOff();
    std::vector<T> numbers(count);
    if (count > 0) std::memcpy(numbers.data(), bytes.data(), bytes.size());
    return Value(ArrayValue(std::move(numbers)));
  }

  Result<Value> Bools(uint64_t count) {
    if (auto error = TooMany(count, 1)) return *std::move(error);
    std::span<const uint8_t> bytes;
    if (!cursor_.ReadBytes(count, &bytes)) return ValueCutOff();
    for (const uint8_t byte : bytes) {
      if (byte > 1) return NotABool(byte);
    }
    return Value(ArrayValue(std::vector<bool>(bytes.begin(), bytes.end())));
  }

  Result<Value> Strings(uint64_t count) {
    if (auto error = TooMany(count, sizeof(uint64_t))) return *std::move(error);
    std::vector<std::string> strings;
    strings.reserve(count);
    for (uint64_t i = 0; i < count; ++i) {
      std::string_view text;
      if (!cursor_.ReadString(&text)) {
        return CutOff(fmt::format("string {} of {} in {}", i, count, Name()), cursor_.position());
      }
      strings.emplace_back(text);
    }
    return Value(ArrayValue(std::move(strings)));
  }

  Cursor& cursor_;
  std::string_view key_;
};

}  // namespace

Result<Metadata> ReadMetadata(Cursor& cursor, uint64_t count) {
  Metadata metadata;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t start = cursor.position();
    std::string_view key;
    if (!cursor.ReadString(&key)) return CutOff(fmt::format("the name of metadata key {} of {}", i + 1, count), start);
    if (key.empty()) {
      return Corrupt(fmt::format("metadata key {} of {} has an empty name: the file is damaged", i + 1, count));
    }
    uint32_t type_id;
    if (!cursor.Read(&type_id)) return CutOff(fmt::format("metadata key {}", Quote(key)), start);
    TENFOLD_TRY(Value value, ValueReader(cursor, key).Read(type_id));
    if (!metadata.try_emplace(std::string(key), std::move(value)).second) {
      return Corrupt(fmt::format("metadata key {} appears twice: the file is damaged", Quote(key)));
    }
  }
  return metadata;
}

}  // namespace tenfold::gguf
