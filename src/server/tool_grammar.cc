#include "server/tool_grammar.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "chat/reasoning_parser.h"
#include "grammar/schema.h"

namespace tenfold::server {
namespace {

using api::ToolChoice;
using chat::ToolFormat;
using grammar::CharSet;
using grammar::ExprId;
using grammar::RuleId;
using grammar::Syntax;

bool Forced(const api::ToolOptions& tools) {
  return tools.choice == ToolChoice::kRequired || tools.choice == ToolChoice::kNamed;
}

bool AnyStrict(const api::ToolOptions& tools) {
  return std::any_of(tools.tools.begin(), tools.tools.end(), [](const api::ToolSpec& tool) { return tool.strict; });
}

// How a format writes calls when it is left no choice: as the models' own templates show them.
struct Shape {
  std::string_view open, arguments_key, close, between;
};

Shape ShapeOf(ToolFormat format) {
  if (format == ToolFormat::kHermes) return {"<tool_call>", "arguments", "\n</tool_call>", "\n"};
  return {"", "parameters", "", "; "};
}

// A schema without any statement about types would allow what is no object.
ExprId Everything(Syntax& syntax) { return grammar::AddJsonObject(syntax); }

Result<ExprId> AddArguments(Syntax& syntax, const api::ToolSpec& tool, bool must_match) {
  if (!must_match) return Everything(syntax);
  if (tool.parameters_json.empty()) return syntax.Literal("{}");
  boost::json::error_code error;
  boost::json::value schema = boost::json::parse(tool.parameters_json, error);
  if (error || !schema.is_object()) return Error{ErrorCode::kInvalidArgument, "it is not a JSON object"};
  boost::json::object& object = schema.get_object();
  const auto says = [&object](const char* keyword) { return object.contains(keyword); };
  if (!says("type") && !says("$ref") && !says("anyOf") && !says("oneOf") && !says("allOf")) object["type"] = "object";
  return grammar::AddSchema(syntax, schema);
}

class Builder {
 public:
  Builder(Syntax& syntax, const ToolGrammarRequest& request, std::string* field)
      : syntax_(syntax), request_(request), tools_(*request.tools), shape_(ShapeOf(request.format)), field_(field) {}

  Result<ExprId> Answer() {
    TENFOLD_TRY(const ExprId object, Object());
    object_ = object;
    const ExprId answer = Forced(tools_)                           ? Calls()
                          : request_.format == ToolFormat::kHermes ? FreeHermes()
                                                                   : FreeLlama();
    if (!request_.in_reasoning) return answer;
    const ExprId lines = syntax_.Repeat(syntax_.Literal("\n"), 0, 2);
    return syntax_.Sequence({syntax_.TextUntil(chat::kThinkClose), lines, answer});
  }

 private:
  // {"name": …, "arguments": …} of any of the tools that may be called.
  Result<ExprId> Object() {
    std::vector<ExprId> options;
    for (size_t i = 0; i < tools_.tools.size(); ++i) {
      const api::ToolSpec& tool = tools_.tools[i];
      if (tools_.choice == ToolChoice::kNamed && tool.name != tools_.named) continue;
      *field_ = fmt::format("tools[{}].function.parameters", i);
      TENFOLD_TRY(const ExprId arguments, AddArguments(syntax_, tool, Forced(tools_) || tool.strict));
      options.push_back(syntax_.Sequence(
          {syntax_.Literal(fmt::format("{{\"name\": \"{}\", \"{}\": ", tool.name, shape_.arguments_key)),
           syntax_.NamedRule("arguments of " + tool.name, arguments), syntax_.Literal("}")}));
    }
    return syntax_.NamedRule("call", syntax_.Choice(std::move(options)));
  }

  ExprId AfterOpen() {
    if (shape_.open.empty()) return object_;
    return syntax_.Sequence({syntax_.Literal("\n"), object_, syntax_.Literal(shape_.close)});
  }

  ExprId Calls() {
    const ExprId call = syntax_.NamedRule("whole call", syntax_.Sequence({syntax_.Literal(shape_.open), AfterOpen()}));
    const bool one = tools_.choice == ToolChoice::kNamed || !tools_.parallel;
    if (one) return call;
    const ExprId more = syntax_.Sequence({syntax_.Literal(shape_.between), call});
    return syntax_.Sequence({call, syntax_.Repeat(more, 0, kMaxForcedCalls - 1)});
  }

  // Any text in which `trigger` does not occur, or, unless `then` is kNothing, where `then` and more such text follow
  // it. The rules are the states of a search for it; its first byte occurs in it once, so a mismatch begins anew.
  static constexpr ExprId kNothing = static_cast<ExprId>(-1);
  ExprId TextWithout(std::string_view trigger, ExprId then) {
    const auto is = [](char c) { return CharSet({{static_cast<uint8_t>(c), static_cast<uint8_t>(c)}}); };
    std::vector<RuleId> at;
    for (size_t i = 0; i < trigger.size(); ++i) at.push_back(syntax_.DeclareRule(fmt::format("text {}", i)));
    const ExprId begins = syntax_.Sequence({syntax_.Literal(trigger.substr(0, 1)), syntax_.Reference(at[1])});
    const ExprId others = syntax_.Repeat(syntax_.Chars(is(trigger[0]).Complement()), 0, grammar::kNoLimit);
    syntax_.DefineRule(at[0], syntax_.Sequence({others, syntax_.Optional(begins)}));
    for (size_t i = 1; i < trigger.size(); ++i) {
      std::vector<ExprId> options = {syntax_.Empty(), begins};
      const CharSet other = is(trigger[0]).Union(is(trigger[i])).Complement();
      options.push_back(syntax_.Sequence({syntax_.Chars(other), syntax_.Reference(at[0])}));
      const ExprId next = syntax_.Literal(trigger.substr(i, 1));
      if (i + 1 < trigger.size()) {
        options.push_back(syntax_.Sequence({next, syntax_.Reference(at[i + 1])}));
      } else if (then != kNothing) {
        options.push_back(syntax_.Sequence({next, then, syntax_.Reference(at[0])}));
      }
      syntax_.DefineRule(at[i], syntax_.Choice(std::move(options)));
    }
    return syntax_.Reference(at[0]);
  }

  ExprId FreeHermes() { return TextWithout("<tool_call>", AfterOpen()); }

  // An answer that begins with a brace is the call; other text never comes to one.
  ExprId FreeLlama() {
    const CharSet space({{'\t', '\r'}, {' ', ' '}});
    const ExprId spaces = syntax_.Repeat(syntax_.Chars(space), 0, grammar::kNoLimit);
    const CharSet first = space.Union(CharSet({{'{', '{'}, {'<', '<'}})).Complement();
    const ExprId text = TextWithout("<|python_tag|>", kNothing);
    const ExprId free = syntax_.Sequence(
        {spaces,
         syntax_.Optional(syntax_.Choice({syntax_.Sequence({syntax_.Chars(first), text}),
                                          syntax_.Sequence({syntax_.Literal("<"), syntax_.Chars(NotTag()), text})}))});
    return syntax_.Choice({Calls(), free});
  }

  // What may follow "<" at the start of a text without "<|python_tag|>"; a tag's other beginnings are not worth rules.
  static CharSet NotTag() { return CharSet({{'|', '|'}, {'<', '<'}}).Complement(); }

  Syntax& syntax_;
  const ToolGrammarRequest& request_;
  const api::ToolOptions& tools_;
  const Shape shape_;
  std::string* field_;
  ExprId object_ = 0;
};

std::string Key(const ToolGrammarRequest& request) {
  const api::ToolOptions& tools = *request.tools;
  std::string key = fmt::format("tools {} {} {} {} {}", chat::ToolFormatName(request.format),
                                static_cast<int>(tools.choice), tools.named, tools.parallel, request.in_reasoning);
  for (const api::ToolSpec& tool : tools.tools) {
    key += fmt::format("\n{} {} {}", tool.name, tool.strict, tool.parameters_json);
  }
  return key;
}

}  // namespace

Result<ExprId> AddToolGrammar(Syntax& syntax, const ToolGrammarRequest& request, std::string* field) {
  return Builder(syntax, request, field).Answer();
}

api::Parsed<GrammarPtr> ToolGrammar(GrammarCache& grammars, const ModelPtr& model, const ToolGrammarRequest& request) {
  const api::ToolOptions& tools = *request.tools;
  const bool forced = Forced(tools);
  if (!forced && (tools.choice == ToolChoice::kNone || !AnyStrict(tools))) return GrammarPtr();
  if (request.format != ToolFormat::kHermes && request.format != ToolFormat::kLlama3) {
    return api::NotSupported(
        forced ? "tool_choice" : "tools",
        forced
            ? "'tool_choice' must be \"auto\" or \"none\" with this model: its chat template writes calls in a format "
              "that cannot be forced."
            : "'tools' cannot be strict with this model: its chat template writes calls in a format that cannot be "
              "forced.");
  }
  std::string field = "tools";
  Result<GrammarPtr> made = grammars.Get(
      model, Key(request), [&request, &field](Syntax& syntax) { return AddToolGrammar(syntax, request, &field); });
  if (made.ok()) return std::move(*made);
  return api::InvalidRequest(field, fmt::format("'{}': {}.", field, made.error().message));
}

}  // namespace tenfold::server
