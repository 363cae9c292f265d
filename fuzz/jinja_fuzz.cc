// Templates: any bytes parse or say why not, and what parses renders within its limits or says why not. The marks of a
// rendering are sorted, disjoint ranges of its text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "jinja/template.h"
#include "jinja/utf8.h"

namespace {

const std::vector<tenfold::jinja::Variable>& Context() {
  static const std::vector<tenfold::jinja::Variable> context = {
      {.name = "messages", .json = R"([{"role": "user", "content": "Hi <|im_end|> é 中"},
        {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": {"a": [1, 2.5]}}}]}])"},
      {.name = "tools", .json = R"([{"type": "function", "function": {"name": "f", "parameters": {}}}])"},
      {.name = "n", .json = "7"},
      {.name = "x", .json = R"({"a": 1, "b": [true, null, "c"]})"},
      {.name = "bos_token", .is_text = true, .text = "<s>", .is_data = false},
  };
  return context;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  const auto parsed = tenfold::jinja::Template::Parse(source);
  if (!parsed.ok()) {
    if (parsed.error().message.empty()) std::abort();
    return 0;
  }
  tenfold::jinja::Limits limits;
  limits.steps = 200'000;
  limits.memory_bytes = 16u << 20;
  limits.output_bytes = 1u << 20;
  const auto result = parsed.value().Render(Context(), 1'700'000'000, limits);
  if (!result.ok) {
    if (!result.error.raised && result.error.message.empty()) std::abort();
    return 0;
  }
  if (!tenfold::jinja::IsUtf8(result.text.bytes())) std::abort();
  size_t end = 0;
  for (const auto& range : result.text.data()) {
    if (range.begin < end || range.end <= range.begin || range.end > result.text.size()) std::abort();
    end = range.end + 1;
  }
  return 0;
}
