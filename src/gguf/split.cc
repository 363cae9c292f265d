// File::Join and what it needs: hostile parts to one tensor index, or one sentence that names the part.
#include "gguf/split.h"

#include <fmt/format.h>

#include <charconv>
#include <span>
#include <utility>

#include "gguf/parse_errors.h"
#include "gguf/quote.h"

namespace tenfold::gguf {
namespace {

constexpr std::string_view kNumberKey = "split.no";
constexpr std::string_view kEnding = ".gguf";
constexpr size_t kDigits = 5;

// Exactly five digits.
std::optional<uint64_t> FiveDigits(std::string_view text) {
  uint64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.size() != kDigits || error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return number;
}

// Whether `part`, in place `place` (0-based), belongs to the model that `first` begins. name, first_name: paths.
Status CheckPart(const File& part, const std::string& name, uint64_t place, const File& first,
                 const std::string& first_name, const SplitKeys& model) {
  TENFOLD_TRY(const std::optional<SplitKeys> keys, ReadSplitKeys(part));
  if (!keys) return Corrupt(fmt::format("'{}' is a model of its own, not part {} of {}", name, place + 1, model.count));
  if (keys->count != model.count || keys->tensors != model.tensors) {
    return Corrupt(
        fmt::format("'{}' is of a model of {} parts and {} tensors, '{}' of one of {} parts and {} tensors: "
                    "these parts do not belong together",
                    name, keys->count, keys->tensors, first_name, model.count, model.tensors));
  }
  if (keys->number != place) {
    return Corrupt(
        fmt::format("'{}' says that it is part {} of {}, but its name says part {}: parts were swapped or "
                    "copied over each other, fetch them again",
                    name, keys->number + 1, keys->count, place + 1));
  }
  for (const auto& [key, value] : part.metadata()) {
    if (key == kNumberKey) continue;
    const Value* in_first = first.FindValue(key);
    if (in_first != nullptr && !(*in_first == value)) {
      return Corrupt(
          fmt::format("metadata key {} of '{}' differs from that of '{}': these parts do not belong together",
                      Quote(key), name, first_name));
    }
  }
  return {};
}

}  // namespace

Result<std::optional<SplitKeys>> ReadSplitKeys(const File& file) {
  SplitKeys keys;
  TENFOLD_TRY(keys.count, file.GetUintOr("split.count", 0));
  if (keys.count <= 1) return std::optional<SplitKeys>();
  if (keys.count > kMostParts) {
    return Corrupt(
        fmt::format("metadata key \"split.count\" is {}, more than {}: the file is damaged", keys.count, kMostParts));
  }
  TENFOLD_TRY(keys.number, file.GetUint(kNumberKey));
  if (keys.number >= keys.count) {
    return Corrupt(fmt::format("metadata key \"split.no\" is {}, but \"split.count\" is {}: the file is damaged",
                               keys.number, keys.count));
  }
  TENFOLD_TRY(keys.tensors, file.GetUint("split.tensors.count"));
  return std::optional<SplitKeys>(keys);
}

std::optional<PartName> ParsePartName(std::string_view path) {
  constexpr std::string_view kOf = "-of-";
  constexpr size_t kEndBytes = 1 + kDigits + kOf.size() + kDigits + kEnding.size();
  if (path.size() <= kEndBytes || !path.ends_with(kEnding)) return std::nullopt;
  const std::string_view end = path.substr(path.size() - kEndBytes);
  if (end[0] != '-' || end.substr(1 + kDigits, kOf.size()) != kOf) return std::nullopt;
  const std::optional<uint64_t> number = FiveDigits(end.substr(1, kDigits));
  const std::optional<uint64_t> count = FiveDigits(end.substr(1 + kDigits + kOf.size(), kDigits));
  if (!number || !count || *number < 1 || *number > *count) return std::nullopt;
  return PartName{path.substr(0, path.size() - kEndBytes), *number, *count};
}

std::string MakePartName(std::string_view stem, uint64_t number, uint64_t count) {
  return fmt::format("{}-{:05}-of-{:05}{}", stem, number, count, kEnding);
}

Result<File> File::Join(std::vector<File> parts, std::span<const std::string> names) {
  if (parts.size() != names.size() || parts.empty()) return Corrupt("a split model needs a name for each of its parts");
  File whole = std::move(parts[0]);
  TENFOLD_TRY(const std::optional<SplitKeys> model, ReadSplitKeys(whole));
  if (!model || model->count != parts.size() || model->number != 0) {
    return Corrupt(fmt::format("'{}' is not the first of {} parts", names[0], parts.size()));
  }
  for (size_t i = 1; i < parts.size(); ++i) {
    TENFOLD_TRY_STATUS(CheckPart(parts[i], names[i], i, whole, names[0], *model));
    for (TensorInfo& tensor : parts[i].tensors_) {
      tensor.part = static_cast<uint32_t>(i);
      const auto [known, is_new] = whole.tensor_index_.try_emplace(tensor.name, whole.tensors_.size());
      if (!is_new) {
        return Corrupt(fmt::format("tensor {} is in '{}' and again in '{}': these parts do not belong together",
                                   Quote(tensor.name), names[whole.tensors_[known->second].part], names[i]));
      }
      whole.tensors_.push_back(std::move(tensor));
    }
  }
  if (whole.tensors_.size() != model->tensors) {
    return Corrupt(
        fmt::format("the {} parts of '{}' hold {} tensors together, but \"split.tensors.count\" says {}: they "
                    "do not belong together or are damaged",
                    model->count, names[0], whole.tensors_.size(), model->tensors));
  }
  return whole;
}

}  // namespace tenfold::gguf
