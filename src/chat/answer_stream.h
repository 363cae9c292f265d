// One answer's way from tokens to events: whole characters, reasoning apart, tool calls understood, content cut at the
// first stop string.
//
// What it does not: invent call ids, or decide when an answer is over. Why stop strings look at content only: a newline
// as stop string must not cut a call's markup or the reasoning of a model that was asked for one line.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "chat/output_event.h"
#include "chat/reasoning_parser.h"
#include "chat/stop_matcher.h"
#include "chat/tool_call_parser.h"
#include "tokenizer/stream_decoder.h"
#include "tokenizer/tokenizer.h"

namespace tenfold::chat {

// What markup to understand. As it is by default, all text is content.
struct AnswerSyntax {
  bool reasoning = false;
  bool starts_in_reasoning = false;  // OpensReasoning(prompt); needs `reasoning`
  ToolFormat tool_format = ToolFormat::kNone;
  std::vector<OfferedTool> tools{};  // empty: no text is a call
  bool one_call = false;             // the answer is complete with its first call
  bool show_markup = false;          // tags that are control tokens are part of the text though nothing reads them
};

// One per answer, used by one thread at a time; the tokenizer must outlive it.
class AnswerStream {
 public:
  // at_text_start: as in StreamDecoder. Control tokens are not rendered, except the tags that `syntax` reads.
  AnswerStream(const tokenizer::Tokenizer& tokenizer, std::vector<std::string> stops, bool at_text_start,
               const AnswerSyntax& syntax);

  // What became certain with this token, often nothing.
  OutputEvents Push(tokenizer::TokenId id);
  // What is left when no more tokens come.
  OutputEvents Finish();
  // True once a stop string has appeared, or the one call that is wanted has ended: the answer is complete, and no more
  // tokens are wanted.
  bool stopped() const { return matcher_.stopped() || (one_call_ && call_ended_); }

 private:
  void Parse(const std::string& text, OutputEvents& out);
  // Content through the stop strings; a call ends what may have become one.
  OutputEvents Cut(OutputEvents events);

  const tokenizer::Tokenizer& tokenizer_;
  tokenizer::StreamDecoder decoder_;
  std::vector<tokenizer::TokenId> shown_;  // control tokens that are rendered all the same
  std::unique_ptr<ReasoningParser> reasoning_;
  std::unique_ptr<ToolCallParser> calls_;
  StopMatcher matcher_;
  const bool one_call_;
  bool call_ended_ = false;
};

}  // namespace tenfold::chat
