// What BPE and SPM tokenizers share: the checked vocabulary, its special tokens, and the bytes each token stands for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tokenizer/special_tokens.h"
#include "tokenizer/token_table.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/vocabulary.h"

namespace tenfold::tokenizer {

// Derived classes say how a stretch of text without special tokens is encoded and what bytes a token stands for.
class VocabularyTokenizer : public Tokenizer {
 public:
  std::vector<TokenId> Encode(std::string_view text, EncodeOptions options) const final;
  std::string TokenBytes(TokenId id, bool render_special) const final;
  TokenId vocab_size() const final { return table_.size(); }
  TokenId bos() const final { return bos_; }
  TokenId eos() const final { return eos_; }
  bool IsEndOfGeneration(TokenId id) const final;
  bool IsControl(TokenId id) const final;
  bool adds_bos() const final { return adds_bos_; }
  TokenId Find(std::string_view literal) const final { return table_.Find(literal); }

 protected:
  // Fills everything below except the bytes. add_bos_default: what a file without tokenizer.ggml.add_bos_token means.
  Status Init(const Vocabulary& vocabulary, bool add_bos_default);
  // Stores the bytes of every token, in the order of ids.
  void AddBytes(std::string_view bytes);

  // Appends the tokens of a text that holds no special tokens; never a control token. begins: nothing stands before
  // it, or a control token does, as opposed to a user-defined token, which is part of the text.
  virtual void EncodePlain(std::string_view text, bool begins, std::vector<TokenId>& ids) const = 0;

  // The token with this text, if text may become it: not control, unknown or byte tokens.
  TokenId FindMergeable(std::string_view text) const;

  const TokenTable& table() const { return table_; }
  TokenType type(TokenId id) const { return types_[id]; }
  TokenId unknown() const { return unknown_; }

 private:
  Status InitTypes(const Vocabulary& vocabulary);
  Status InitIds(const Vocabulary& vocabulary, bool add_bos_default);
  Status InitSpecial();

  TokenTable table_;
  std::vector<TokenType> types_;  // (vocab)
  std::vector<bool> ends_generation_;
  SpecialTokens special_;
  std::string bytes_;                      // what all tokens stand for, one after the other
  std::vector<uint32_t> byte_offsets_{0};  // (vocab + 1)
  TokenId bos_ = kNoToken;
  TokenId eos_ = kNoToken;
  TokenId unknown_ = kNoToken;
  bool adds_bos_ = false;
  bool adds_eos_ = false;
};

}  // namespace tenfold::tokenizer
