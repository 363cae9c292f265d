#include "chat/answer_stream.h"

#include <algorithm>
#include <utility>

namespace tenfold::chat {

using Kind = OutputEvent::Kind;

AnswerStream::AnswerStream(const tokenizer::Tokenizer& tokenizer, std::vector<std::string> stops, bool at_text_start,
                           const AnswerSyntax& syntax)
    : tokenizer_(tokenizer),
      decoder_(tokenizer, /*render_special=*/false, at_text_start),
      matcher_(std::move(stops)),
      one_call_(syntax.one_call) {
  const ToolFormat format = syntax.tools.empty() ? ToolFormat::kNone : syntax.tool_format;
  if (syntax.reasoning) reasoning_ = std::make_unique<ReasoningParser>(syntax.starts_in_reasoning);
  calls_ = MakeToolCallParser(format, syntax.tools);
  for (const std::string_view tag : MarkupTags(format, syntax.reasoning || syntax.show_markup)) {
    const tokenizer::TokenId id = tokenizer.Find(tag);
    if (tokenizer.IsControl(id)) shown_.push_back(id);
  }
}

OutputEvents AnswerStream::Push(tokenizer::TokenId id) {
  OutputEvents out;
  if (std::find(shown_.begin(), shown_.end(), id) != shown_.end()) {
    // A control token ends whatever character was half there.
    Parse(decoder_.Finish() + tokenizer_.TokenBytes(id, /*render_special=*/true), out);
  } else {
    Parse(decoder_.Push(id), out);
  }
  return Cut(std::move(out));
}

OutputEvents AnswerStream::Finish() {
  OutputEvents out;
  Parse(decoder_.Finish(), out);
  if (reasoning_) {
    const std::string rest = reasoning_->Finish(out);
    if (calls_) {
      calls_->Push(rest, out);
    } else {
      AddEvent(out, Kind::kContent, rest);
    }
  }
  if (calls_) calls_->Finish(out);
  out = Cut(std::move(out));
  if (!stopped()) AddEvent(out, Kind::kContent, matcher_.Finish());
  return out;
}

void AnswerStream::Parse(const std::string& text, OutputEvents& out) {
  if (text.empty()) return;
  std::string rest;
  if (reasoning_) rest = reasoning_->Push(text, out);
  const std::string& content = reasoning_ ? rest : text;
  if (calls_) {
    calls_->Push(content, out);
  } else {
    AddEvent(out, Kind::kContent, content);
  }
}

OutputEvents AnswerStream::Cut(OutputEvents events) {
  OutputEvents out;
  for (OutputEvent& event : events) {
    if (stopped()) break;
    if (event.kind == Kind::kContent) {
      AddEvent(out, Kind::kContent, matcher_.Push(event.text));
      continue;
    }
    if (event.kind == Kind::kCallBegin) AddEvent(out, Kind::kContent, matcher_.Finish());
    AddEvent(out, event.kind, event.text, event.call);
    call_ended_ |= event.kind == Kind::kCallEnd;
  }
  return out;
}

}  // namespace tenfold::chat
