// A body, and what the engine needs to answer it: the steps of a request that need neither the I/O thread nor the loop.
//
// What it does: body to struct, struct to prompts of token ids, and those to the engine's requests, one a choice. What
// it does not: wait for anything; generation.cc says when each step may run.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/answer_writer.h"
#include "api/generation_request.h"
#include "chat/answer_stream.h"
#include "chat/chat_template.h"
#include "engine/engine.h"
#include "server/grammar_cache.h"

namespace tenfold::server {

// A validated body of either route.
struct GenerationBody {
  api::GenerationOptions options;
  std::variant<api::ChatRequest, std::vector<api::Prompt>> input;  // the request's own options are moved out of it

  size_t prompts() const;  // a conversation is one
};

// A prompt as the engine takes it.
struct PreparedPrompt {
  std::vector<tokenizer::TokenId> ids;
  bool at_text_start = false;  // nothing but control tokens: the answer begins a text
  std::string echo;            // the prompt as text, where it is to come back
  bool from_text = false;      // ids were encoded from echo, not the other way round
};

// Everything of a request that is made once the model is there; all choices share it.
struct Prepared {
  std::vector<PreparedPrompt> prompts;  // body.prompts() of them
  chat::AnswerSyntax syntax{};          // what markup the answers may hold
  GrammarPtr grammar;                   // of every answer; null: anything
};

// Preparation threads.
api::Parsed<GenerationBody> ParseBody(api::Shape shape, std::string_view body);
api::Parsed<Prepared> Prepare(const ModelPtr& model, const chat::ChatTemplate& chat_template,
                              const GenerationBody& body, GrammarCache& grammars);
// The text that the chat template makes of a conversation, as /apply-template shows it.
api::Parsed<jinja::MarkedText> RenderChat(const engine::ModelInfo& model, const chat::ChatTemplate& chat_template,
                                          const api::ChatRequest& request);

// Choice `index` (0 .. n-1) of one prompt, without its callbacks. Choices differ by their seeds alone, seed + index, so
// that each can be had again on its own, and a prompt's choices are the same whatever other prompts came with it.
engine::Request MakeEngineRequest(const api::GenerationOptions& options, const PreparedPrompt& prompt,
                                  const GrammarPtr& grammar, int64_t index, uint64_t seed);

}  // namespace tenfold::server
