#include "model/reference_forward.h"

#include <cmath>
#include <string>

#include "base/check.h"
#include "tensor/dequantize.h"

namespace tenfold::model {
namespace {

using Vec = std::vector<double>;

class Reference {
 public:
  Reference(const gguf::File& file, std::span<const uint8_t> bytes, const Config& c)
      : file_(file), bytes_(bytes), c_(c) {}

  Vec Run(std::span<const int32_t> tokens) {
    const Vec embedding = Tensor("token_embd.weight");
    std::vector<Vec> x;
    for (const int32_t t : tokens)
      x.emplace_back(embedding.begin() + t * c_.d_model, embedding.begin() + (t + 1) * c_.d_model);
    for (int64_t i = 0; i < c_.n_layers; ++i) Layer("blk." + std::to_string(i) + ".", x);
    const Vec norm = Tensor("output_norm.weight");
    const Vec output = file_.FindTensor("output.weight") != nullptr ? Tensor("output.weight") : embedding;
    Vec logits;
    for (const Vec& row : x) {
      const Vec y = Times(output, Norm(row, norm));
      logits.insert(logits.end(), y.begin(), y.end());
    }
    return logits;
  }

 private:
  Vec Tensor(const std::string& name) const {
    const gguf::TensorInfo* t = file_.FindTensor(name);
    TENFOLD_CHECK(t != nullptr, "reference: tensor missing");
    size_t elems = 1;
    for (const uint64_t d : t->dims) elems *= d;
    std::vector<float> values(elems);
    tensor::DequantizeRow(t->type, bytes_.data() + t->offset_bytes, elems, values.data());
    return Vec(values.begin(), values.end());
  }

  static Vec Times(const Vec& matrix, const Vec& x) {  // matrix (rows, x.size())
    Vec y(matrix.size() / x.size(), 0.0);
    for (size_t r = 0; r < y.size(); ++r) {
      for (size_t i = 0; i < x.size(); ++i) y[r] += matrix[r * x.size() + i] * x[i];
    }
    return y;
  }

  // x plus a bias, where the file has it.
  Vec Plus(Vec x, const std::string& bias_name) const {
    if (file_.FindTensor(bias_name) == nullptr) return x;
    const Vec bias = Tensor(bias_name);
    for (size_t i = 0; i < x.size(); ++i) x[i] += bias[i];
    return x;
  }

  Vec Norm(const Vec& x, const Vec& weight) const {
    double square = 0;
    for (const double v : x) square += v * v;
    const double scale = 1.0 / std::sqrt(square / static_cast<double>(x.size()) + static_cast<double>(c_.rms_eps));
    Vec y(x.size());
    for (size_t i = 0; i < x.size(); ++i) y[i] = x[i] * scale * weight[i];
    return y;
  }

  // heads of (n * head_dim), each normed where weights are given, then rotated for its position.
  void PrepareHeads(Vec& heads, const Vec& norm, size_t position) const {
    const size_t hd = static_cast<size_t>(c_.head_dim);
    const size_t half = static_cast<size_t>(c_.n_rot / 2);
    for (size_t h = 0; h < heads.size() / hd; ++h) {
      Vec head(heads.begin() + static_cast<long>(h * hd), heads.begin() + static_cast<long>((h + 1) * hd));
      if (!norm.empty()) head = Norm(head, norm);
      for (size_t i = 0; i < half; ++i) {
        const double angle = static_cast<double>(position) *
                             std::pow(c_.rope_base, -2.0 * static_cast<double>(i) / static_cast<double>(c_.n_rot));
        const size_t a = c_.architecture == "llama" ? 2 * i : i;
        const size_t b = c_.architecture == "llama" ? 2 * i + 1 : i + half;
        const double u = head[a];
        const double v = head[b];
        head[a] = u * std::cos(angle) - v * std::sin(angle);
        head[b] = u * std::sin(angle) + v * std::cos(angle);
      }
      std::copy(head.begin(), head.end(), heads.begin() + static_cast<long>(h * hd));
    }
  }

  Vec AttendOne(const Vec& q, const std::vector<Vec>& k, const std::vector<Vec>& v, size_t position) const {
    const size_t hd = static_cast<size_t>(c_.head_dim);
    const size_t group = static_cast<size_t>(c_.n_heads / c_.n_kv_heads);
    Vec out(q.size(), 0.0);
    for (size_t h = 0; h < static_cast<size_t>(c_.n_heads); ++h) {
      Vec p(position + 1);
      double total = 0;
      for (size_t s = 0; s <= position; ++s) {
        double dot = 0;
        for (size_t d = 0; d < hd; ++d) dot += q[h * hd + d] * k[s][h / group * hd + d];
        p[s] = std::exp(dot / std::sqrt(static_cast<double>(hd)));
        total += p[s];
      }
      for (size_t s = 0; s <= position; ++s) {
        for (size_t d = 0; d < hd; ++d) out[h * hd + d] += p[s] / total * v[s][h / group * hd + d];
      }
    }
    return out;
  }

  void Layer(const std::string& p, std::vector<Vec>& x) const {
    const Vec attn_norm = Tensor(p + "attn_norm.weight");
    const Vec wq = Tensor(p + "attn_q.weight"), wk = Tensor(p + "attn_k.weight"), wv = Tensor(p + "attn_v.weight");
    const Vec wo = Tensor(p + "attn_output.weight"), ffn_norm = Tensor(p + "ffn_norm.weight");
    const Vec gate = Tensor(p + "ffn_gate.weight"), up = Tensor(p + "ffn_up.weight"),
              down = Tensor(p + "ffn_down.weight");
    const bool head_norms = file_.FindTensor(p + "attn_q_norm.weight") != nullptr;
    const Vec q_norm = head_norms ? Tensor(p + "attn_q_norm.weight") : Vec{};
    const Vec k_norm = head_norms ? Tensor(p + "attn_k_norm.weight") : Vec{};
    std::vector<Vec> k, v;
    for (size_t t = 0; t < x.size(); ++t) {
      const Vec h = Norm(x[t], attn_norm);
      Vec q = Plus(Times(wq, h), p + "attn_q.bias");
      k.push_back(Plus(Times(wk, h), p + "attn_k.bias"));
      v.push_back(Plus(Times(wv, h), p + "attn_v.bias"));
      PrepareHeads(q, q_norm, t);
      PrepareHeads(k.back(), k_norm, t);
      const Vec a = Plus(Times(wo, AttendOne(q, k, v, t)), p + "attn_output.bias");
      for (size_t i = 0; i < a.size(); ++i) x[t][i] += a[i];
    }
    for (Vec& row : x) {
      const Vec h = Norm(row, ffn_norm);
      Vec g = Times(gate, h);
      const Vec u = Times(up, h);
      for (size_t i = 0; i < g.size(); ++i) g[i] = g[i] / (1.0 + std::exp(-g[i])) * u[i];
      const Vec d = Times(down, g);
      for (size_t i = 0; i < d.size(); ++i) row[i] += d[i];
    }
  }

  const gguf::File& file_;
  std::span<const uint8_t> bytes_;
  const Config& c_;
};

}  // namespace

std::vector<double> ReferenceForward(const gguf::File& file, std::span<const uint8_t> bytes, const Config& config,
                                     std::span<const int32_t> tokens) {
  return Reference(file, bytes, config).Run(tokens);
}

}  // namespace tenfold::model
