// A chat template: source in, prompts out.
//
// The language is what Hugging Face renders chat templates with: jinja2 with trim_blocks, lstrip_blocks, loop controls,
// {% generation %}, tojson without ASCII escapes, raise_exception and strftime_now, in a sandbox where nothing can be
// changed but namespaces. Not there, and refused by name: blocks and inheritance, include and import, autoescape, i18n.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "jinja/marked_text.h"
#include "jinja/run.h"

namespace tenfold::jinja {

inline constexpr size_t kMaxSourceBytes = 1 << 20;

// One variable of the context, as JSON text or as a plain string.
struct Variable {
  std::string name{};
  std::string json{};  // used unless is_text
  bool is_text = false;
  std::string text{};
  bool is_data = true;  // came with the request, as opposed to with the model
};

// Why a rendering failed.
struct RenderError {
  bool raised = false;    // by the template's own raise_exception; `message` is its argument
  std::string message{};  // names the line unless raised
};

struct RenderResult {
  bool ok = false;
  MarkedText text{};    // when ok
  RenderError error{};  // otherwise
};

// Immutable; any thread may render at the same time.
class Template {
 public:
  // kInvalidArgument names the line and what is wrong there: syntax, an unknown tag, filter or test. Linear time.
  static Result<Template> Parse(std::string_view source);
  ~Template();
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;

  // Variables of the same name: the last one counts. JSON that does not parse is a failure that names the variable.
  RenderResult Render(const std::vector<Variable>& variables, int64_t now_unix_s, const Limits& limits = {}) const;

 private:
  struct Impl;
  explicit Template(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tenfold::jinja
