#include "tokenizer/vocabulary.h"

#include <fmt/format.h>

#include <limits>

#include "base/log.h"
#include "gguf/quote.h"
#include "tokenizer/bpe.h"
#include "tokenizer/spm.h"

namespace tenfold::tokenizer {
namespace {

// A token id that may be missing. Converters write "none" as -1, in signed or unsigned form.
Result<std::optional<uint64_t>> ReadId(const gguf::File& file, std::string_view key) {
  const gguf::Value* value = file.FindValue(key);
  if (value == nullptr) return std::optional<uint64_t>();
  if (const auto* id = std::get_if<int32_t>(value); id != nullptr && *id == -1) return std::optional<uint64_t>();
  TENFOLD_TRY(const uint64_t id, file.GetUint(key));
  if (id == std::numeric_limits<uint32_t>::max()) return std::optional<uint64_t>();
  return std::optional<uint64_t>(id);
}

Status ReadIds(const gguf::File& file, Vocabulary& vocabulary) {
  TENFOLD_TRY(vocabulary.bos, ReadId(file, "tokenizer.ggml.bos_token_id"));
  TENFOLD_TRY(vocabulary.eos, ReadId(file, "tokenizer.ggml.eos_token_id"));
  TENFOLD_TRY(vocabulary.eot, ReadId(file, "tokenizer.ggml.eot_token_id"));
  TENFOLD_TRY(vocabulary.eom, ReadId(file, "tokenizer.ggml.eom_token_id"));
  TENFOLD_TRY(vocabulary.unknown, ReadId(file, "tokenizer.ggml.unknown_token_id"));
  return {};
}

// Where SPM files name no ids, the ones of the original vocabulary hold, if they are of that type.
void DefaultSpmIds(Vocabulary& vocabulary) {
  const auto is = [&](size_t id, TokenType type) {
    return id < vocabulary.types.size() && vocabulary.types[id] == static_cast<int64_t>(type);
  };
  if (!vocabulary.unknown && is(0, TokenType::kUnknown)) vocabulary.unknown = 0;
  if (!vocabulary.bos && is(1, TokenType::kControl)) vocabulary.bos = 1;
  if (!vocabulary.eos && is(2, TokenType::kControl)) vocabulary.eos = 2;
}

// tokenizer.ggml.model and .pre, or a refusal by name.
Status ReadKind(const gguf::File& file, Vocabulary& vocabulary) {
  TENFOLD_TRY(const std::string model, file.GetString("tokenizer.ggml.model"));
  if (model == "llama") {
    vocabulary.model = TokenizerModel::kSpm;
    return {};
  }
  if (model != "gpt2") {
    return Error{
        ErrorCode::kUnsupported,
        fmt::format("tokenizer.ggml.model {} is not supported; \"gpt2\" and \"llama\" are", gguf::Quote(model))};
  }
  vocabulary.model = TokenizerModel::kBpe;
  TENFOLD_TRY(const std::string pre, file.GetStringOr("tokenizer.ggml.pre", ""));
  if (pre.empty()) {
    Log(LogLevel::kWarn,
        "the model file has no tokenizer.ggml.pre, so its text is cut by the default rules, which may not be the ones "
        "it "
        "was trained with: convert the model again");
  }
  const std::optional<PreTokenizer> kind = PreTokenizerByName(pre.empty() ? "default" : pre);
  if (!kind) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("tokenizer.ggml.pre {} is not supported; {} are", gguf::Quote(pre), PreTokenizerNames())};
  }
  vocabulary.pre = *kind;
  return {};
}

}  // namespace

Result<Vocabulary> ReadVocabulary(const gguf::File& file) {
  Vocabulary vocabulary;
  TENFOLD_TRY_STATUS(ReadKind(file, vocabulary));
  TENFOLD_TRY_STATUS(ReadIds(file, vocabulary));
  TENFOLD_TRY(const std::vector<std::string>* tokens, file.GetStrings("tokenizer.ggml.tokens"));
  vocabulary.tokens = *tokens;
  if (file.FindValue("tokenizer.ggml.token_type") != nullptr) {
    TENFOLD_TRY(vocabulary.types, file.GetInts("tokenizer.ggml.token_type"));
  }
  if (vocabulary.model == TokenizerModel::kBpe) {
    TENFOLD_TRY(const std::vector<std::string>* merges, file.GetStrings("tokenizer.ggml.merges"));
    vocabulary.merges = *merges;
  } else {
    TENFOLD_TRY(vocabulary.scores, file.GetFloats("tokenizer.ggml.scores"));
    TENFOLD_TRY(vocabulary.add_space_prefix, file.GetBoolOr("tokenizer.ggml.add_space_prefix", true));
    DefaultSpmIds(vocabulary);
  }
  if (file.FindValue("tokenizer.ggml.add_bos_token") != nullptr) {
    TENFOLD_TRY(vocabulary.add_bos, file.GetBool("tokenizer.ggml.add_bos_token"));
  }
  TENFOLD_TRY(vocabulary.add_eos, file.GetBoolOr("tokenizer.ggml.add_eos_token", false));
  return vocabulary;
}

Result<std::unique_ptr<Tokenizer>> MakeTokenizer(const Vocabulary& vocabulary) {
  return vocabulary.model == TokenizerModel::kBpe ? MakeBpe(vocabulary) : MakeSpm(vocabulary);
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::FromGguf(const gguf::File& file) {
  TENFOLD_TRY(const Vocabulary vocabulary, ReadVocabulary(file));
  return MakeTokenizer(vocabulary);
}

}  // namespace tenfold::tokenizer
