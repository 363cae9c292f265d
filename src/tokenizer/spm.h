// SPM (tokenizer.ggml.model "llama"): characters are joined by the score of the piece they make; what is no piece
// falls back to byte tokens.
//
// Source of the algorithm: SentencePiece's BPE model (Kudo and Richardson, arXiv:1808.06226), with its escape of
// spaces as U+2581 and its identity normaliser.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "tokenizer/merge.h"
#include "tokenizer/vocabulary_tokenizer.h"

namespace tenfold::tokenizer {

// Needs vocabulary.model kSpm.
Result<std::unique_ptr<Tokenizer>> MakeSpm(const Vocabulary& vocabulary);

class SpmTokenizer final : public VocabularyTokenizer {
 public:
  static Result<std::unique_ptr<Tokenizer>> Make(const Vocabulary& vocabulary);

  bool adds_space_prefix() const override { return space_prefix_; }

 protected:
  void EncodePlain(std::string_view raw, bool begins, std::vector<TokenId>& ids) const override;

 private:
  // How many bytes of an unused piece its left half had when it was last made. Unused pieces take part in joins and
  // are then taken apart again.
  using Splits = std::unordered_map<TokenId, uint32_t>;

  explicit SpmTokenizer(bool space_prefix) : space_prefix_(space_prefix) {}
  Status InitScores(const Vocabulary& vocabulary);
  Status InitBytes(bool typed);
  void AppendPiece(std::string_view piece, const Splits& splits, std::vector<TokenId>& ids) const;
  void AppendFallback(std::string_view piece, std::vector<TokenId>& ids) const;

  bool space_prefix_;
  bool has_unused_ = false;
  std::vector<uint32_t> ranks_;  // (vocab); 0 is the highest score, equal scores have equal ranks
  std::array<TokenId, 256> byte_ids_{};
};

}  // namespace tenfold::tokenizer
