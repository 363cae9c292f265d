// Llama (Touvron et al. 2023), versions 1 to 3: a pre-norm transformer with grouped-query attention and a SwiGLU
// feed-forward layer. It differs from Qwen3 in two things: heads are not normed, and GGUF files hold its query and key
// rows permuted so that RoPE turns neighbouring pairs. From 3.1 on the file also holds divisors of RoPE's frequencies
// (rope_freqs.weight), which the step has in its table of them.
#include "model/architectures.h"

namespace tenfold::model {

void ForwardLlama(const Config& config, const Weights& weights, Step& step) {
  step.Embed(weights.embedding);  // x = E[token], (n, d_model)
  for (int64_t i = 0; i < config.n_layers; ++i) {
    const LayerWeights& layer = weights.layers[static_cast<size_t>(i)];

    // x += Wo attention(rope(Wq h), rope(Wk h), Wv h),  h = norm(x)
    const kernels::PackedMatrix* const qkv[] = {&layer.q, &layer.k, &layer.v};
    step.Normalise(layer.attn_norm, qkv);
    if (i + 1 == config.n_layers) step.DropUnwanted();  // the others' keys and values are all that is left to do
    step.ProjectQkv(layer);
    step.RotateAndStore(i, layer, kernels::RopePairing::kInterleaved);
    step.Attend(i);
    step.ProjectAttention(layer);

    // x += Wdown (silu(Wgate h) * Wup h),  h = norm(x)
    const kernels::PackedMatrix* const gate_up[] = {&layer.gate, &layer.up};
    step.Normalise(layer.ffn_norm, gate_up);
    step.GatedFeedForward(layer);
  }
  step.Output(weights.output_norm, weights.output);  // logits = Wout norm(x)
}

}  // namespace tenfold::model
