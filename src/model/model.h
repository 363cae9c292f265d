// A loaded transformer: weights, KV pages and a forward pass over one step plan's rows.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "gguf/model_file.h"
#include "kernels/isa.h"
#include "kernels/matmul.h"
#include "model/config.h"
#include "model/step.h"
#include "model/weights.h"
#include "platform/memory.h"
#include "platform/thread_pool.h"

namespace tenfold::model {

struct ModelOptions {
  kernels::Isa isa = kernels::Isa::kScalar;
  kernels::Precision precision = kernels::Precision::kFast;
  kernels::KvFormat kv_format{};
};

// Driven by one thread, which is worker 0 of the pool given to Load; the pool must outlive the model.
class Model {
 public:
  // kv_pages: how many 16-token pages the KV store holds. Errors as ReadConfig and LoadWeights.
  static Result<std::unique_ptr<Model>> Load(const gguf::ModelFile& file, const Config& config, ModelOptions options,
                                             int32_t kv_pages, platform::ThreadPool& pool,
                                             const LoadProgress& progress);

  // Computes the rows' tokens, writing their KV; afterwards Logits(i) is the i-th wanted position in row order. Ids
  // must be inside the vocabulary and pages inside the store.
  void Forward(std::span<const StepRow> rows);
  // Times every phase of the following steps into *profile; null: no longer.
  void SetProfile(StepProfile* profile) { step_->SetProfile(profile); }
  std::span<float> Logits(int64_t i) { return step_->Logits(i); }
  int64_t logit_rows() const { return step_->logit_rows(); }

  uint64_t step_bytes() const { return step_->reserved_bytes(); }

  const Config& config() const { return config_; }
  const Weights& weights() const { return weights_; }
  const KvStore& kv() const { return kv_; }

 private:
  Model() = default;
  Config config_;
  Weights weights_;
  KvStore kv_;
  std::unique_ptr<Step> step_;
};

}  // namespace tenfold::model
