// What a model file says about its tokenizer, as plain data: the step between metadata and a tokenizer, so that tests
// and tools can make one without a file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/tokenizer.h"

namespace tenfold::tokenizer {

// As in tokenizer.ggml.token_type.
enum class TokenType : uint8_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

enum class TokenizerModel { kBpe, kSpm };  // tokenizer.ggml.model "gpt2", "llama"

// The lists are only looked at while MakeTokenizer runs; they must live that long.
struct Vocabulary {
  TokenizerModel model = TokenizerModel::kBpe;
  PreTokenizer pre = PreTokenizer::kQwen2;  // BPE only
  std::span<const std::string> tokens;      // (vocab)
  std::span<const std::string> merges;      // "left right", best first; BPE only
  std::vector<float> scores;                // (vocab), higher is better; SPM only
  std::vector<int64_t> types;               // (vocab) of TokenType or 0, or empty: all normal
  std::optional<uint64_t> bos, eos, eot, eom, unknown;
  std::optional<bool> add_bos;
  bool add_eos = false;
  bool add_space_prefix = true;  // SPM only
};

// Reads tokenizer.ggml.*; the result's spans point into `file`.
Result<Vocabulary> ReadVocabulary(const gguf::File& file);

// Checks everything and names the key in its errors.
Result<std::unique_ptr<Tokenizer>> MakeTokenizer(const Vocabulary& vocabulary);

}  // namespace tenfold::tokenizer
