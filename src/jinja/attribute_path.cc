#include "jinja/attribute_path.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "jinja/casing.h"
#include "jinja/evaluator.h"

namespace tenfold::jinja {

Value AttributeOf(Evaluator& evaluator, const Value& item, const Value& attribute, const Value& otherwise) {
  Run& run = evaluator.run();
  if (attribute.Is(Kind::kMissing) || attribute.Is(Kind::kNone)) return item;
  Value value = item;
  if (attribute.IsInteger()) {
    value = evaluator.Subscript(value, attribute);
  } else if (attribute.Is(Kind::kText)) {
    const std::string& path = attribute.text->bytes();
    for (size_t at = 0; at <= path.size() && !run.failed();) {
      const size_t end = std::min(path.find('.', at), path.size());
      const std::string part = path.substr(at, end - at);
      int64_t index = 0;
      const auto [stop, code] = std::from_chars(part.data(), part.data() + part.size(), index);
      const bool is_index = !part.empty() && part[0] != '-' && code == std::errc() && stop == part.data() + part.size();
      value = evaluator.Subscript(value, is_index ? Value::Int(index) : run.NewText(part));
      if (value.Is(Kind::kUndefined) && !otherwise.Is(Kind::kMissing)) value = otherwise;
      at = end + 1;
    }
  } else {
    return run.Fail(fmt::format("an attribute is named by a string or a number, not {}", TypeName(attribute)));
  }
  return value;
}

Value WithoutCase(Run& run, const Value& value) {
  return value.Is(Kind::kText) ? run.NewText(Lowercase(value.text->marked)) : value;
}

}  // namespace tenfold::jinja
