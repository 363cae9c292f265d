// The architectures that tenfold computes: one function each, in a file of its own that reads as its forward pass.
#pragma once

#include "model/step.h"
#include "model/weights.h"

namespace tenfold::model {

// Run every layer for the tokens given to step.Begin() and leave the logits in the step.
void ForwardQwen2(const Config& config, const Weights& weights, Step& step);
void ForwardQwen3(const Config& config, const Weights& weights, Step& step);
void ForwardLlama(const Config& config, const Weights& weights, Step& step);

}  // namespace tenfold::model
