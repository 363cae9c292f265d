// Byte-level BPE (tokenizer.ggml.model "gpt2"): text, cut into words, is bytes, and merges join them by rank.
//
// Source of the algorithm: Sennrich et al., arXiv:1508.07909; of the byte alphabet: GPT-2's published encoder.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tokenizer/merge.h"
#include "tokenizer/vocabulary_tokenizer.h"

namespace tenfold::tokenizer {

// Needs vocabulary.model kBpe.
Result<std::unique_ptr<Tokenizer>> MakeBpe(const Vocabulary& vocabulary);

// (left, right) → (rank, joined): one flat table, because it is looked into for every pair of every word.
class MergeTable {
 public:
  explicit MergeTable(size_t merges);
  // The first rank of a pair counts.
  void Add(TokenId left, TokenId right, PairMerge merge);
  PairMerge Find(TokenId left, TokenId right) const;

 private:
  struct Slot {
    uint64_t pair = kEmpty;
    PairMerge merge;
  };
  static constexpr uint64_t kEmpty = ~uint64_t{0};  // ids are below 2^24, so no pair looks like this

  size_t SlotOf(uint64_t pair) const;

  std::vector<Slot> slots_;
};

class BpeTokenizer final : public VocabularyTokenizer {
 public:
  static Result<std::unique_ptr<Tokenizer>> Make(const Vocabulary& vocabulary);

  bool adds_space_prefix() const override { return false; }

 protected:
  void EncodePlain(std::string_view text, bool begins, std::vector<TokenId>& ids) const override;

 private:
  struct Scratch {
    std::vector<MergeSymbol> symbols;
    MergeHeap heap;
    std::string mapped;
  };

  explicit BpeTokenizer(const Vocabulary& vocabulary);
  Status InitBytes();
  Status InitMerges(const Vocabulary& vocabulary);
  // The token of a whole word, where the pre-tokenizer takes those before merging.
  TokenId WholeWord(std::string_view word, Scratch& scratch) const;
  void EncodeWord(std::string_view word, Scratch& scratch, std::vector<TokenId>& ids) const;

  PreTokenizer pre_;
  bool normalises_;   // to NFC, before cutting
  bool whole_words_;  // "ignore_merges": a word that is a token needs no merging
  std::array<TokenId, 256> byte_ids_{};
  MergeTable merges_;
};

}  // namespace tenfold::tokenizer
