// Picks the instruction set for the float operations and lays out attention's scratch memory.
#include "kernels/attention.h"

#include <xmmintrin.h>

#include "base/check.h"
#include "kernels/float_kernels.h"

namespace tenfold::kernels {
namespace {

const FloatKernels& KernelsFor(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return kFloatKernelsScalar;
    case Isa::kAvx2:
    case Isa::kAvxVnni:
      return kFloatKernelsAvx2;
    case Isa::kAvx512Vnni:
      return kFloatKernelsAvx512Vnni;
  }
  return kFloatKernelsScalar;
}

constexpr int64_t RoundUp16(int64_t n) { return (n + 15) / 16 * 16; }

// Hands out consecutive 64-byte aligned arrays; with a null base it only counts.
class ScratchCursor {
 public:
  explicit ScratchCursor(uint8_t* base) : base_(base) {}
  float* Take(int64_t floats) {
    uint8_t* const p = base_ == nullptr ? nullptr : base_ + used_;
    used_ += static_cast<size_t>(RoundUp16(floats)) * sizeof(float);
    return reinterpret_cast<float*>(p);
  }
  size_t used() const { return used_; }

 private:
  uint8_t* base_;
  size_t used_ = 0;
};

// Returns the bytes used.
size_t LayOutScratch(uint8_t* scratch, AttendTask* task) {
  const int64_t rows = task->n_tokens * task->n_heads;
  ScratchCursor cursor(scratch);
  task->acc_stride = RoundUp16(task->head_dim);
  task->query = cursor.Take(rows * task->head_dim);
  task->acc = cursor.Take(rows * task->acc_stride);
  task->max = cursor.Take(rows);
  task->sum = cursor.Take(rows * 16);
  task->rescale = cursor.Take(rows);
  task->weights = cursor.Take(rows * kBlockTokens);
  task->converted = cursor.Take(kBlockTokens * task->head_dim);
  return cursor.used();
}

uint8_t* PageAt(const KvPages& pages, int64_t position) {
  const auto page = static_cast<size_t>(position / kPageTokens);
  TENFOLD_CHECK(position >= 0 && page < pages.page_ids.size(), "position lies past the sequence's pages");
  return pages.base + static_cast<size_t>(pages.page_ids[page]) * pages.page_stride_bytes;
}

}  // namespace

void WriteKv(Isa isa, const KvPages& pages, int64_t position, int64_t head_dim, const float* k, const float* v) {
  KernelsFor(isa).write_kv(PageAt(pages, position), position % kPageTokens, head_dim, k, v);
}

void Attend(Isa isa, const KvPages& pages, int64_t first_position, int64_t n_tokens, int64_t n_heads, int64_t head_dim,
            float scale, const float* q, int64_t q_stride, float* out, int64_t out_stride, uint8_t* scratch) {
  TENFOLD_CHECK(head_dim >= 8 && head_dim <= 256 && head_dim % 8 == 0, "head_dim must be a multiple of 8 up to 256");
  TENFOLD_CHECK(n_tokens >= 1 && n_heads >= 1 && first_position >= 0, "an attention item has tokens and heads");
  TENFOLD_CHECK((first_position + n_tokens - 1) / kPageTokens < static_cast<int64_t>(pages.page_ids.size()),
                "the item lies past the sequence's pages");
  AttendTask task = {};
  task.base = pages.base;
  task.page_stride_bytes = pages.page_stride_bytes;
  task.page_ids = pages.page_ids.data();
  task.first_position = first_position;
  task.n_tokens = n_tokens;
  task.n_heads = n_heads;
  task.head_dim = head_dim;
  task.scale = scale;
  task.q = q;
  task.q_stride = q_stride;
  task.out = out;
  task.out_stride = out_stride;
  LayOutScratch(scratch, &task);
  KernelsFor(isa).attend(task);
}

size_t AttendScratchBytes(int64_t n_tokens, int64_t n_heads, int64_t head_dim) {
  AttendTask task = {};
  task.n_tokens = n_tokens;
  task.n_heads = n_heads;
  task.head_dim = head_dim;
  return LayOutScratch(nullptr, &task);
}

void RmsNorm(Isa isa, const float* x, const float* weight, int64_t n, float eps, float* y) {
  KernelsFor(isa).rms_norm(x, weight, n, eps, y);
}

void Rope(Isa isa, RopePairing pairing, const float* cos, const float* sin, int64_t n_rot, float* head) {
  const FloatKernels& kernels = KernelsFor(isa);
  (pairing == RopePairing::kHalves ? kernels.rope_halves : kernels.rope_interleaved)(cos, sin, n_rot, head);
}

void AddInPlace(Isa isa, const float* b, int64_t n, float* a) { KernelsFor(isa).add(b, n, a); }

void SiluMul(Isa isa, const float* gate, const float* up, int64_t n, float* y) {
  KernelsFor(isa).silu_mul(gate, up, n, y);
}

void SetFlushDenormals() {
  constexpr unsigned kFlushToZero = 0x8000;
  constexpr unsigned kDenormalsAreZero = 0x0040;
  _mm_setcsr(_mm_getcsr() | kFlushToZero | kDenormalsAreZero);
}

}  // namespace tenfold::kernels
