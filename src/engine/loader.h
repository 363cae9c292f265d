// From a path to everything a loop needs: weights, KV pages, tokenizer, and what clients may know about them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "model/model.h"
#include "platform/thread_pool.h"

namespace tenfold::engine {

// What the loop owns while a model is loaded.
struct LoadedModel {
  std::shared_ptr<const ModelInfo> info;
  std::unique_ptr<model::Model> model;
  std::vector<tokenizer::TokenId> end_tokens;  // every end-of-generation id
  int32_t kv_pages = 0;
  Optimization optimization;
};

// Says how far the load is; returning false abandons it.
using LoadReport = std::function<bool(std::string_view stage, double progress)>;

// Runs on the loop thread with its pool. Errors are one sentence that begins with the path.
Result<LoadedModel> LoadModel(const Options& options, platform::ThreadPool& pool, const LoadReport& report);

}  // namespace tenfold::engine
