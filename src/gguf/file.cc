// Look-ups and typed reads over a parsed file.
#include "gguf/file.h"

#include <fmt/format.h>

#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

#include "gguf/quote.h"

namespace tenfold::gguf {
namespace {

template <class T>
constexpr std::string_view NameOfType() {
  if constexpr (std::is_same_v<T, bool>) return "bool";
  if constexpr (std::is_same_v<T, std::string>) return "string";
  if constexpr (std::is_same_v<T, float>) return "float32";
  if constexpr (std::is_same_v<T, double>) return "float64";
  if constexpr (std::is_same_v<T, uint8_t>) return "uint8";
  if constexpr (std::is_same_v<T, int8_t>) return "int8";
  if constexpr (std::is_same_v<T, uint16_t>) return "uint16";
  if constexpr (std::is_same_v<T, int16_t>) return "int16";
  if constexpr (std::is_same_v<T, uint32_t>) return "uint32";
  if constexpr (std::is_same_v<T, int32_t>) return "int32";
  if constexpr (std::is_same_v<T, uint64_t>) return "uint64";
  if constexpr (std::is_same_v<T, int64_t>) return "int64";
}

// What a value is, for errors: "uint32", "array of string".
std::string Describe(const Value& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, ArrayValue>) {
          return std::visit(
              [](const auto& array) {
                return fmt::format("array of {}", NameOfType<typename std::decay_t<decltype(array)>::value_type>());
              },
              v);
        } else {
          return std::string(NameOfType<T>());
        }
      },
      value);
}

Error Missing(std::string_view key) {
  return {ErrorCode::kNotFound,
          fmt::format("metadata key {} is missing from the model file: convert the model again", Quote(key))};
}

Error WrongType(std::string_view key, std::string_view wanted, const Value& value) {
  return {ErrorCode::kCorrupt, fmt::format("metadata key {} must be {}, but the model file has a value of type {}: "
                                           "convert the model again",
                                           Quote(key), wanted, Describe(value))};
}

template <class T>
constexpr bool kIsInteger = std::is_integral_v<T> && !std::is_same_v<T, bool>;

// A value that holds a T, or an error.
template <class T>
Result<T> Scalar(const File& file, std::string_view key, std::string_view wanted) {
  const Value* value = file.FindValue(key);
  if (!value) return Missing(key);
  if (const T* found = std::get_if<T>(value)) return *found;
  return WrongType(key, wanted, *value);
}

// The default stands in for a missing key only.
template <class T, class Get>
Result<T> GetOr(const File& file, std::string_view key, T fallback, Get get) {
  if (!file.FindValue(key)) return fallback;
  return get();
}

}  // namespace

const Value* File::FindValue(std::string_view key) const {
  const auto it = metadata_.find(key);
  return it == metadata_.end() ? nullptr : &it->second;
}

const TensorInfo* File::FindTensor(std::string_view name) const {
  const auto it = tensor_index_.find(name);
  return it == tensor_index_.end() ? nullptr : &tensors_[it->second];
}

Result<std::string> File::GetString(std::string_view key) const { return Scalar<std::string>(*this, key, "a string"); }

Result<bool> File::GetBool(std::string_view key) const { return Scalar<bool>(*this, key, "a bool"); }

Result<uint64_t> File::GetUint(std::string_view key) const {
  const Value* value = FindValue(key);
  if (!value) return Missing(key);
  return std::visit(
      [&](const auto& v) -> Result<uint64_t> {
        if constexpr (kIsInteger<std::decay_t<decltype(v)>>) {
          if (std::in_range<uint64_t>(v)) return static_cast<uint64_t>(v);
          return Error{ErrorCode::kCorrupt,
                       fmt::format("metadata key {} is {}, but it must not be negative: convert the model again",
                                   Quote(key), v)};
        } else {
          return WrongType(key, "an integer", *value);
        }
      },
      *value);
}

Result<double> File::GetFloat(std::string_view key) const {
  const Value* value = FindValue(key);
  if (!value) return Missing(key);
  if (const float* narrow = std::get_if<float>(value)) return static_cast<double>(*narrow);
  if (const double* wide = std::get_if<double>(value)) return *wide;
  return WrongType(key, "a float", *value);
}

Result<const std::vector<std::string>*> File::GetStrings(std::string_view key) const {
  const Value* value = FindValue(key);
  if (!value) return Missing(key);
  if (const ArrayValue* array = std::get_if<ArrayValue>(value)) {
    if (const auto* strings = std::get_if<std::vector<std::string>>(array)) return strings;
  }
  return WrongType(key, "an array of strings", *value);
}

Result<std::vector<int64_t>> File::GetInts(std::string_view key) const {
  const Value* value = FindValue(key);
  if (!value) return Missing(key);
  const ArrayValue* array = std::get_if<ArrayValue>(value);
  if (!array) return WrongType(key, "an array of integers", *value);
  return std::visit(
      [&](const auto& elements) -> Result<std::vector<int64_t>> {
        if constexpr (kIsInteger<typename std::decay_t<decltype(elements)>::value_type>) {
          for (const auto element : elements) {
            if (std::in_range<int64_t>(element)) continue;
            return Error{ErrorCode::kCorrupt,
                         fmt::format("metadata key {} holds {}, which does not fit a signed 64-bit "
                                     "integer: convert the model again",
                                     Quote(key), element)};
          }
          return std::vector<int64_t>(elements.begin(), elements.end());
        } else {
          return WrongType(key, "an array of integers", *value);
        }
      },
      *array);
}

Result<std::vector<float>> File::GetFloats(std::string_view key) const {
  const Value* value = FindValue(key);
  if (!value) return Missing(key);
  if (const ArrayValue* array = std::get_if<ArrayValue>(value)) {
    if (const auto* narrow = std::get_if<std::vector<float>>(array)) return *narrow;
    if (const auto* wide = std::get_if<std::vector<double>>(array)) {
      std::vector<float> rounded(wide->size());
      for (size_t i = 0; i < wide->size(); ++i) rounded[i] = static_cast<float>((*wide)[i]);
      return rounded;
    }
  }
  return WrongType(key, "an array of floats", *value);
}

Result<uint64_t> File::GetUintOr(std::string_view key, uint64_t fallback) const {
  return GetOr(*this, key, fallback, [&] { return GetUint(key); });
}

Result<double> File::GetFloatOr(std::string_view key, double fallback) const {
  return GetOr(*this, key, fallback, [&] { return GetFloat(key); });
}

Result<bool> File::GetBoolOr(std::string_view key, bool fallback) const {
  return GetOr(*this, key, fallback, [&] { return GetBool(key); });
}

Result<std::string> File::GetStringOr(std::string_view key, std::string fallback) const {
  return GetOr(*this, key, std::move(fallback), [&] { return GetString(key); });
}

}  // namespace tenfold::gguf
