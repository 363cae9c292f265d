// Compiled grammars of the loaded model, so that a grammar that many requests bring is compiled once and learns its
// masks once.
//
// What it does: keeps the last kMaxGrammars by their text, and the model's vocabulary as grammars need it. What it does
// not: survive the model; with another one it begins anew.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "api/response_format.h"
#include "base/result.h"
#include "engine/engine.h"
#include "grammar/grammar.h"
#include "server/model_gate.h"

namespace tenfold::server {

using GrammarPtr = std::shared_ptr<const grammar::Grammar>;

// Any thread but the I/O thread and the loop: compiling takes milliseconds, the first vocabulary of a model a tenth of
// a second.
class GrammarCache {
 public:
  static constexpr size_t kMaxGrammars = 32;

  // The grammar known as `key`, or else the one that `build` describes; `key` must say everything that `build` does.
  // Errors are build's, and Grammar::Compile's.
  Result<GrammarPtr> Get(const ModelPtr& model, std::string key,
                         const std::function<Result<grammar::ExprId>(grammar::Syntax&)>& build);

  // What a request's fields ask for; null for text. A refusal names the field.
  api::Parsed<GrammarPtr> Get(const ModelPtr& model, const api::OutputFormat& format);

 private:
  using Entry = std::pair<std::string, GrammarPtr>;

  std::shared_ptr<const grammar::Vocabulary> VocabularyOf(const ModelPtr& model);

  std::mutex vocabulary_mutex_;  // held while one is built, so that it is built once
  std::weak_ptr<const engine::ModelInfo> vocabulary_model_;
  std::shared_ptr<const grammar::Vocabulary> vocabulary_;

  std::mutex mutex_;
  std::weak_ptr<const engine::ModelInfo> model_;  // whose grammars these are
  std::list<Entry> entries_;                      // last used first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_key_;
};

// The tokens as grammars see them: control tokens and unknown ones are never allowed. Any thread.
std::shared_ptr<const grammar::Vocabulary> MakeVocabulary(const tokenizer::Tokenizer& tokenizer);

}  // namespace tenfold::server
