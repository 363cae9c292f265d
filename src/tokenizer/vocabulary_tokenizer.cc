#include "tokenizer/vocabulary_tokenizer.h"

#include <fmt/format.h>

#include <array>
#include <initializer_list>
#include <utility>

namespace tenfold::tokenizer {
namespace {

constexpr size_t kMaxTextBytes = size_t{512} << 20;  // symbols and offsets of escaped text stay below 2^31

// Bounds the time of looking for special tokens; the longest in use have some sixty bytes.
constexpr size_t kMaxSpecialBytes = 512;

// Chat markup that some converters mark as user-defined or normal. As such, any user's text could write it, so these
// are control tokens whatever the file says.
constexpr std::array kControlLiterals = {"<|im_start|>",      "<|im_end|>",        "<|endoftext|>",
                                         "<|eot_id|>",        "<|end_of_text|>",   "<|start_header_id|>",
                                         "<|end_header_id|>", "<|begin_of_text|>", "<start_of_turn>",
                                         "<end_of_turn>",     "<|eom_id|>"};

// What models of the supported families end an answer with, beyond the ids their files name: chat turns, Llama 3's
// calls to tools, DeepSeek's distillations, and the separators between files that code models write when they are done.
constexpr std::array kEndLiterals = {"<|im_end|>",    "<|endoftext|>",   "<|eot_id|>",
                                     "<|eom_id|>",    "<|end_of_text|>", "</s>",
                                     "<end_of_turn>", "<|end|>",         "<|return|>",
                                     "<|call|>",      "<EOT>",           "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
                                     "<|fim_pad|>",   "<|repo_name|>",   "<|file_sep|>"};

Result<TokenId> CheckedId(std::optional<uint64_t> id, std::string_view key, TokenId vocab_size) {
  if (!id) return kNoToken;
  if (*id >= static_cast<uint64_t>(vocab_size)) {
    return Error{
        ErrorCode::kCorrupt,
        fmt::format("tokenizer.ggml.{} is {}, but tokenizer.ggml.tokens has only {} tokens", key, *id, vocab_size)};
  }
  return static_cast<TokenId>(*id);
}

}  // namespace

std::string Tokenizer::Decode(const std::vector<TokenId>& ids, bool render_special) const {
  std::string out;
  bool drop_space = adds_space_prefix();
  for (const TokenId id : ids) {
    const std::string bytes = TokenBytes(id, render_special);
    const bool drop = drop_space && !IsControl(id) && bytes.starts_with(' ');
    if (!IsControl(id) && !bytes.empty()) drop_space = false;
    out.append(bytes, drop ? 1 : 0);
  }
  return out;
}

Status VocabularyTokenizer::Init(const Vocabulary& vocabulary, bool add_bos_default) {
  TENFOLD_TRY(table_, TokenTable::Build(vocabulary.tokens));
  TENFOLD_TRY_STATUS(InitTypes(vocabulary));
  TENFOLD_TRY_STATUS(InitIds(vocabulary, add_bos_default));
  return InitSpecial();
}

Status VocabularyTokenizer::InitSpecial() {
  for (TokenId id = 0; id < table_.size(); ++id) {
    if (types_[id] != TokenType::kControl && types_[id] != TokenType::kUserDefined) continue;
    const std::string_view text = table_.Text(id);
    if (text.size() > kMaxSpecialBytes) {
      return Error{
          ErrorCode::kUnsupported,
          fmt::format("tokenizer.ggml.tokens[{}] is a control or user-defined token of {} bytes, more than the "
                      "{} supported",
                      id, text.size(), kMaxSpecialBytes)};
    }
    special_.Add(text, id, types_[id] == TokenType::kControl);
  }
  return {};
}

Status VocabularyTokenizer::InitTypes(const Vocabulary& vocabulary) {
  const auto size = static_cast<size_t>(table_.size());
  if (!vocabulary.types.empty() && vocabulary.types.size() != size) {
    return Error{ErrorCode::kCorrupt,
                 fmt::format("tokenizer.ggml.token_type has {} entries for {} tokens", vocabulary.types.size(), size)};
  }
  types_.assign(size, TokenType::kNormal);
  for (size_t i = 0; i < vocabulary.types.size(); ++i) {
    const int64_t type = vocabulary.types[i];
    if (type < 0 || type > 6) {
      return Error{ErrorCode::kCorrupt, fmt::format("tokenizer.ggml.token_type[{}] is {}, not 0..6", i, type)};
    }
    if (type != 0) types_[i] = static_cast<TokenType>(type);
  }
  for (const char* literal : kControlLiterals) {
    if (const TokenId id = table_.Find(literal); id != kNoToken) types_[id] = TokenType::kControl;
  }
  return {};
}

Status VocabularyTokenizer::InitIds(const Vocabulary& vocabulary, bool add_bos_default) {
  const TokenId size = table_.size();
  TENFOLD_TRY(bos_, CheckedId(vocabulary.bos, "bos_token_id", size));
  TENFOLD_TRY(eos_, CheckedId(vocabulary.eos, "eos_token_id", size));
  TENFOLD_TRY(const TokenId eot, CheckedId(vocabulary.eot, "eot_token_id", size));
  TENFOLD_TRY(const TokenId eom, CheckedId(vocabulary.eom, "eom_token_id", size));
  TENFOLD_TRY(unknown_, CheckedId(vocabulary.unknown, "unknown_token_id", size));
  if (vocabulary.add_bos.value_or(false) && bos_ == kNoToken) {
    return Error{ErrorCode::kCorrupt,
                 "tokenizer.ggml.add_bos_token is true, but tokenizer.ggml.bos_token_id is missing"};
  }
  adds_bos_ = vocabulary.add_bos.value_or(add_bos_default) && bos_ != kNoToken;
  if (vocabulary.add_eos && eos_ == kNoToken) {
    return Error{ErrorCode::kCorrupt,
                 "tokenizer.ggml.add_eos_token is true, but tokenizer.ggml.eos_token_id is missing"};
  }
  adds_eos_ = vocabulary.add_eos;

  ends_generation_.assign(static_cast<size_t>(size), false);
  for (const TokenId id : {eos_, eot, eom}) {
    if (id != kNoToken) ends_generation_[id] = true;
  }
  for (const char* literal : kEndLiterals) {
    const TokenId id = table_.Find(literal);
    // "</s>" is an ordinary word of some vocabularies: HTML's end of strike-through.
    if (id != kNoToken && types_[id] != TokenType::kNormal) ends_generation_[id] = true;
  }
  return {};
}

void VocabularyTokenizer::AddBytes(std::string_view bytes) {
  bytes_.append(bytes);
  byte_offsets_.push_back(static_cast<uint32_t>(bytes_.size()));
}

std::vector<TokenId> VocabularyTokenizer::Encode(std::string_view text, EncodeOptions options) const {
  TENFOLD_CHECK(text.size() < kMaxTextBytes, "text to tokenize must be below 512 MiB");
  std::vector<TokenId> ids;
  if (options.add_special && adds_bos_) ids.push_back(bos_);
  size_t pos = 0;
  bool begins = true;
  while (pos < text.size()) {
    const auto match = special_.FindNext(text, pos, options.parse_special, options.data);
    const size_t end = match ? match->begin : text.size();
    if (end > pos) EncodePlain(text.substr(pos, end - pos), begins, ids);
    if (!match) break;
    begins = IsControl(match->id);
    ids.push_back(match->id);
    pos = end + match->length_bytes;
  }
  if (options.add_special && adds_eos_) ids.push_back(eos_);
  return ids;
}

std::string VocabularyTokenizer::TokenBytes(TokenId id, bool render_special) const {
  TENFOLD_CHECK(id >= 0 && id < vocab_size(), "token id outside the vocabulary");
  const bool hidden = types_[id] == TokenType::kControl || types_[id] == TokenType::kUnknown;
  if (hidden && !render_special) return "";
  return bytes_.substr(byte_offsets_[id], byte_offsets_[id + 1] - byte_offsets_[id]);
}

bool VocabularyTokenizer::IsEndOfGeneration(TokenId id) const {
  return id >= 0 && id < vocab_size() && ends_generation_[id];
}

bool VocabularyTokenizer::IsControl(TokenId id) const {
  return id >= 0 && id < vocab_size() && types_[id] == TokenType::kControl;
}

TokenId VocabularyTokenizer::FindMergeable(std::string_view text) const {
  const TokenId id = table_.Find(text);
  if (id == kNoToken) return kNoToken;
  const TokenType type = types_[id];
  const bool mergeable = type == TokenType::kNormal || type == TokenType::kUserDefined || type == TokenType::kUnused;
  return mergeable ? id : kNoToken;
}

}  // namespace tenfold::tokenizer
