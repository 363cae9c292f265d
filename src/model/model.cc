#include "model/model.h"

#include "base/check.h"
#include "model/architectures.h"

namespace tenfold::model {

Result<std::unique_ptr<Model>> Model::Load(const gguf::ModelFile& file, const Config& config, ModelOptions options,
                                           int32_t kv_pages, platform::ThreadPool& pool, const LoadProgress& progress) {
  std::unique_ptr<Model> model(new Model);
  model->config_ = config;
  TENFOLD_TRY(model->weights_, LoadWeights(file, config, pool, progress));
  TENFOLD_TRY(model->kv_, KvStore::Allocate(config, options.kv_format, kv_pages));
  model->kv_.TouchLayers(pool);
  RopeTable rope = MakeRopeTable(config.rope_scaling, config.n_rot, config.rope_base, config.train_context,
                                 model->weights_.rope_factors);
  model->step_ =
      std::make_unique<Step>(model->config_, std::move(rope), options.isa, options.precision, pool, model->kv_);
  return model;
}

void Model::Forward(std::span<const StepRow> rows) {
  step_->Begin(rows);
  if (config_.architecture == "qwen3") {
    ForwardQwen3(config_, weights_, *step_);
  } else if (config_.architecture == "qwen2") {
    ForwardQwen2(config_, weights_, *step_);
  } else if (config_.architecture == "llama") {
    ForwardLlama(config_, weights_, *step_);
  } else {
    TENFOLD_CHECK(false, "ReadConfig let an unknown architecture through");
  }
}

}  // namespace tenfold::model
