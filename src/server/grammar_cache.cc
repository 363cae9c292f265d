#include "server/grammar_cache.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <vector>

#include "grammar/gbnf.h"
#include "grammar/schema.h"

namespace tenfold::server {
namespace {

using Kind = api::OutputFormat::Kind;

Result<grammar::ExprId> Build(const api::OutputFormat& format, grammar::Syntax& syntax) {
  if (format.kind == Kind::kGrammar) return grammar::ParseGbnf(format.text, syntax);
  if (format.kind == Kind::kJsonObject) return grammar::AddJsonObject(syntax);
  boost::json::error_code error;
  const boost::json::value schema = boost::json::parse(format.text, error);
  if (error) return Error{ErrorCode::kInvalidArgument, "the schema is not valid JSON: " + error.message()};
  return grammar::AddSchema(syntax, schema);
}

}  // namespace

std::shared_ptr<const grammar::Vocabulary> MakeVocabulary(const tokenizer::Tokenizer& tokenizer) {
  std::vector<std::string> bytes;
  std::vector<int32_t> ends;
  bytes.reserve(static_cast<size_t>(tokenizer.vocab_size()));
  for (tokenizer::TokenId id = 0; id < tokenizer.vocab_size(); ++id) {
    bytes.push_back(tokenizer.TokenBytes(id, /*render_special=*/false));
    if (tokenizer.IsEndOfGeneration(id)) ends.push_back(id);
  }
  return std::make_shared<const grammar::Vocabulary>(bytes, std::move(ends));
}

std::shared_ptr<const grammar::Vocabulary> GrammarCache::VocabularyOf(const ModelPtr& model) {
  const std::lock_guard<std::mutex> lock(vocabulary_mutex_);
  if (vocabulary_ == nullptr || vocabulary_model_.lock() != model) {
    vocabulary_ = MakeVocabulary(*model->tokenizer);
    vocabulary_model_ = model;
  }
  return vocabulary_;
}

Result<GrammarPtr> GrammarCache::Get(const ModelPtr& model, std::string key,
                                     const std::function<Result<grammar::ExprId>(grammar::Syntax&)>& build) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (model_.lock() != model) {
      by_key_.clear();
      entries_.clear();
      model_ = model;
    }
    if (const auto known = by_key_.find(key); known != by_key_.end()) {
      entries_.splice(entries_.begin(), entries_, known->second);
      return entries_.front().second;
    }
  }
  grammar::Syntax syntax;
  TENFOLD_TRY(const grammar::ExprId root, build(syntax));
  TENFOLD_TRY(GrammarPtr made, grammar::Grammar::Compile(syntax, root, VocabularyOf(model)));
  const std::lock_guard<std::mutex> lock(mutex_);
  // Another thread may have been faster, or the model may have gone; then nothing is kept.
  if (model_.lock() != model || by_key_.contains(key)) return made;
  entries_.emplace_front(std::move(key), made);
  by_key_.emplace(entries_.front().first, entries_.begin());
  if (entries_.size() > kMaxGrammars) {
    by_key_.erase(entries_.back().first);
    entries_.pop_back();
  }
  return made;
}

api::Parsed<GrammarPtr> GrammarCache::Get(const ModelPtr& model, const api::OutputFormat& format) {
  if (format.kind == Kind::kText) return GrammarPtr();
  std::string key = format.kind == Kind::kGrammar ? "gbnf " : format.kind == Kind::kJsonObject ? "object" : "schema ";
  key += format.text;
  Result<GrammarPtr> grammar =
      Get(model, std::move(key), [&format](grammar::Syntax& syntax) { return Build(format, syntax); });
  if (grammar.ok()) return std::move(*grammar);
  return api::InvalidRequest(format.field, fmt::format("'{}': {}.", format.field, grammar.error().message));
}

}  // namespace tenfold::server
