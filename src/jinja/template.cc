#include "jinja/template.h"

#include <fmt/format.h>

#include "jinja/ast.h"
#include "jinja/evaluator.h"
#include "jinja/from_json.h"
#include "jinja/lexer.h"
#include "jinja/parser.h"
#include "jinja/utf8.h"

namespace tenfold::jinja {

struct Template::Impl {
  Ast ast;
};

Template::Template(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Template::~Template() = default;
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;

Result<Template> Template::Parse(std::string_view source) {
  if (source.size() > kMaxSourceBytes) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("the template has {} bytes, more than the {} that are read",
                                                          source.size(), kMaxSourceBytes)};
  }
  if (!IsUtf8(source)) return Error{ErrorCode::kInvalidArgument, "the template is not UTF-8"};
  TENFOLD_TRY(std::vector<Token> tokens, Tokenize(source));
  auto impl = std::make_unique<Impl>();
  TENFOLD_TRY_STATUS(Parser(std::move(tokens), impl->ast).Parse());
  return Template(std::move(impl));
}

RenderResult Template::Render(const std::vector<Variable>& variables, int64_t now_unix_s, const Limits& limits) const {
  Run run(limits);
  std::vector<std::pair<Value, Value>> entries;
  for (const Variable& variable : variables) {
    const Value name = run.NewText(variable.name, variable.is_data);
    const Value value = variable.is_text ? run.NewText(variable.text, variable.is_data)
                                         : FromJson(run, variable.json, variable.is_data);
    if (run.failed()) {
      return {.error = {.message = fmt::format("variable '{}': {}", variable.name, run.message())}};
    }
    entries.emplace_back(name, value);
  }
  const Value context = run.NewDict(std::move(entries));
  RenderResult result;
  if (!run.failed()) result.text = Evaluator(run, impl_->ast, context, now_unix_s).Render();
  result.ok = !run.failed();
  if (result.ok) return result;
  result.text = {};
  result.error.raised = run.raised();
  result.error.message = run.raised() ? run.message() : fmt::format("line {}: {}", run.line(), run.message());
  return result;
}

}  // namespace tenfold::jinja
