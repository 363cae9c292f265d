// Qwen2 and Qwen2.5 (Yang et al. 2024): a pre-norm transformer with grouped-query attention, a bias on queries, keys
// and values, and a SwiGLU feed-forward layer. It differs from Qwen3 in those biases and in that heads are not normed.
// Small sizes tie the output matrix to the embedding.
//
//   x                        (n, d_model)               the residual stream
//   q | k, v                 (n, heads * head_dim) | (n, kv_heads * head_dim)
//   heads per KV head        n_heads / n_kv_heads share each key and value
#include "model/architectures.h"

namespace tenfold::model {

void ForwardQwen2(const Config& config, const Weights& weights, Step& step) {
  step.Embed(weights.embedding);  // x = E[token]
  for (int64_t i = 0; i < config.n_layers; ++i) {
    const LayerWeights& layer = weights.layers[static_cast<size_t>(i)];

    // x += Wo attention(rope(Wq h + bq), rope(Wk h + bk), Wv h + bv),  h = norm(x)
    const kernels::PackedMatrix* const qkv[] = {&layer.q, &layer.k, &layer.v};
    step.Normalise(layer.attn_norm, qkv);
    if (i + 1 == config.n_layers) step.DropUnwanted();  // the others' keys and values are all that is left to do
    step.ProjectQkv(layer);
    step.RotateAndStore(i, layer, kernels::RopePairing::kHalves);  // adds the biases first: the layer has them
    step.Attend(i);
    step.ProjectAttention(layer);

    // x += Wdown (silu(Wgate h) * Wup h),  h = norm(x)
    const kernels::PackedMatrix* const gate_up[] = {&layer.gate, &layer.up};
    step.Normalise(layer.ffn_norm, gate_up);
    step.GatedFeedForward(layer);
  }
  step.Output(weights.output_norm, weights.output);  // logits = Wout norm(x), for the positions that want them
}

}  // namespace tenfold::model
