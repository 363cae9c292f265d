#include "jinja/callable.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenfold::jinja {

bool CallArguments::Bind(Run& run, std::string_view what, std::string_view parameters, size_t required,
                         std::vector<Value>* out) const {
  std::vector<std::string_view> names;
  for (size_t at = 0; at < parameters.size();) {
    const size_t end = std::min(parameters.find(' ', at), parameters.size());
    names.push_back(parameters.substr(at, end - at));
    at = end + 1;
  }
  if (positional.size() > names.size()) {
    run.Fail(fmt::format("{} takes at most {} arguments, not {}", what, names.size(), positional.size()));
    return false;
  }
  *out = positional;
  out->resize(names.size(), Value::Missing());
  for (const auto& [name, value] : named) {
    const auto it = std::find(names.begin(), names.end(), name);
    if (it == names.end()) {
      run.Fail(fmt::format("{} takes no argument '{}'", what, name.substr(0, 100)));
      return false;
    }
    Value& place = (*out)[static_cast<size_t>(it - names.begin())];
    if (!place.Is(Kind::kMissing)) {
      run.Fail(fmt::format("{} got argument '{}' twice", what, name));
      return false;
    }
    place = value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (!(*out)[i].Is(Kind::kMissing)) continue;
    run.Fail(fmt::format("{} needs its argument '{}'", what, names[i]));
    return false;
  }
  return true;
}

}  // namespace tenfold::jinja
