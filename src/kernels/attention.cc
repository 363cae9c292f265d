// Picks the instruction set for the float operations and lays out attention's scratch memory.
#include "kernels/attention.h"

#include <xmmintrin.h>

#include <algorithm>

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
  int16_t* TakeInt16(int64_t n) { return reinterpret_cast<int16_t*>(Take((n + 1) / 2)); }
  size_t used() const { return used_; }

 private:
  uint8_t* base_;
  size_t used_ = 0;
};

int64_t Rows(const AttendItem& item) { return item.kv_heads * item.n_tokens * item.n_heads; }
int64_t Length(const AttendItem& item) { return item.first_position + item.n_tokens; }

AttendState TakeState(ScratchCursor& cursor, const AttendItem& item) {
  AttendState state = {};
  state.acc = cursor.Take(Rows(item) * RoundUp16(item.head_dim));
  state.max = cursor.Take(Rows(item));
  state.sum = cursor.Take(Rows(item) * 16);
  return state;
}

// The state kept in part `chunk`.
AttendState PartOf(const AttendItem& item, int64_t chunk, float* parts) {
  ScratchCursor cursor(reinterpret_cast<uint8_t*>(parts + static_cast<size_t>(chunk) * AttendPartFloats(item)));
  return TakeState(cursor, item);
}

// What the kernels read of the item. Returns the bytes of scratch used; with a null scratch it only counts them.
size_t LayOut(const AttendItem& item, uint8_t* scratch, AttendTask* task) {
  task->format = item.pages.format;
  task->key_bytes = KvKeyBytes(item.head_dim, item.pages.format);
  task->base = item.pages.base;
  task->page_stride_bytes = item.pages.page_stride_bytes;
  task->head_stride_bytes = item.pages.head_stride_bytes;
  task->page_ids = item.pages.page_ids.data();
  task->first_position = item.first_position;
  task->n_tokens = item.n_tokens;
  task->kv_heads = item.kv_heads;
  task->n_heads = item.n_heads;
  task->head_dim = item.head_dim;
  task->scale = item.scale;
  task->q = item.q;
  task->q_stride = item.q_stride;
  task->out = item.out;
  task->out_stride = item.out_stride;
  task->begin = 0;
  task->end = Length(item);
  task->chunk_tokens = kChunkTokens;
  task->acc_stride = RoundUp16(item.head_dim);

  ScratchCursor cursor(scratch);
  task->query = cursor.Take(Rows(item) * item.head_dim);
  task->rescale = cursor.Take(item.n_tokens * item.n_heads);
  task->weights = cursor.Take(item.n_tokens * item.n_heads * kBlockTokens);
  task->in_int16 = item.arithmetic == AttendArithmetic::kInt16;
  if (item.pages.format.k == KvType::kQ8_0 || task->in_int16) {
    task->query_int16 = cursor.TakeInt16(Rows(item) * item.head_dim + 16);  // written 16 at a time
    task->query_scale = cursor.Take(Rows(item));
  }
  if (item.pages.format.v == KvType::kQ8_0 || task->in_int16) {
    task->weights_int16 = cursor.TakeInt16(item.n_tokens * item.n_heads * kBlockTokens);
    task->weights_scale = cursor.Take(item.n_tokens * item.n_heads);
  }
  if (task->in_int16) {
    task->keys_int16 = cursor.TakeInt16(item.head_dim * kBlockTokens);
    task->values_int16 = cursor.TakeInt16(task->acc_stride * kBlockTokens);
    task->keys_scale = cursor.Take(2 * kBlockTokens);
  }
  task->total = TakeState(cursor, item);
  if (AttendChunks(item) > 1) task->chunk = TakeState(cursor, item);
  return cursor.used();
}

void CheckItem(const AttendItem& item) {
  TENFOLD_CHECK(item.head_dim >= 8 && item.head_dim <= 256 && item.head_dim % 8 == 0,
                "head_dim must be a multiple of 8 up to 256");
  TENFOLD_CHECK(Rows(item) >= 1 && item.first_position >= 0, "an attention item has tokens and heads");
  TENFOLD_CHECK(item.arithmetic == AttendArithmetic::kFloat ||
                    (item.pages.format.k == KvType::kF16 && item.pages.format.v == KvType::kF16),
                "int16 attention reads halves");
  TENFOLD_CHECK((Length(item) - 1) / kPageTokens < static_cast<int64_t>(item.pages.page_ids.size()),
                "the item lies past the sequence's pages");
}

uint8_t* PageAt(const KvPages& pages, int64_t position) {
  const auto page = static_cast<size_t>(position / kPageTokens);
  TENFOLD_CHECK(position >= 0 && page < pages.page_ids.size(), "position lies past the sequence's pages");
  return pages.base + static_cast<size_t>(pages.page_ids[page]) * pages.page_stride_bytes;
}

}  // namespace

std::string_view NameOf(KvType type) { return type == KvType::kF16 ? "f16" : "q8_0"; }

std::optional<KvType> KvTypeFromName(std::string_view name) {
  for (const KvType type : {KvType::kF16, KvType::kQ8_0}) {
    if (name == NameOf(type)) return type;
  }
  return std::nullopt;
}

size_t KvKeyBytes(int64_t head_dim, const KvFormat& format) {
  if (format.k == KvType::kF16) return static_cast<size_t>(kPageTokens * head_dim) * 2;
  const int64_t scale_bytes = (head_dim + 31) / 32 * kPageTokens * 2;
  return static_cast<size_t>(scale_bytes + kPageTokens * head_dim + 63) / 64 * 64;
}

size_t KvPageBytes(int64_t head_dim, const KvFormat& format) {
  const int64_t v_bytes = format.v == KvType::kF16 ? kPageTokens * head_dim * 2 : kPageTokens * (head_dim + 4);
  return KvKeyBytes(head_dim, format) + static_cast<size_t>(v_bytes + 63) / 64 * 64;
}

void WriteKv(Isa isa, const KvPages& pages, int64_t position, int64_t head_dim, const float* k, const float* v) {
  TENFOLD_CHECK(head_dim >= 8 && head_dim <= 256 && head_dim % 8 == 0, "head_dim must be a multiple of 8 up to 256");
  KernelsFor(isa).write_kv(PageAt(pages, position), pages.format, KvKeyBytes(head_dim, pages.format),
                           position % kPageTokens, head_dim, k, v);
}

void Attend(Isa isa, const AttendItem& item, uint8_t* scratch) {
  CheckItem(item);
  AttendTask task = {};
  LayOut(item, scratch, &task);
  KernelsFor(isa).attend(task);
  KernelsFor(isa).finish(task);
}

size_t AttendScratchBytes(const AttendItem& item) {
  AttendTask task = {};
  return LayOut(item, nullptr, &task);
}

int64_t AttendChunks(const AttendItem& item) { return (Length(item) + kChunkTokens - 1) / kChunkTokens; }

size_t AttendPartFloats(const AttendItem& item) {
  ScratchCursor cursor(nullptr);
  TakeState(cursor, item);
  return cursor.used() / sizeof(float);
}

void AttendChunk(Isa isa, const AttendItem& item, int64_t chunk, float* parts, uint8_t* scratch) {
  CheckItem(item);
  TENFOLD_CHECK(chunk >= 0 && chunk < AttendChunks(item), "no such chunk");
  AttendTask task = {};
  LayOut(item, scratch, &task);
  task.begin = chunk * kChunkTokens;
  task.end = std::min(task.end, task.begin + kChunkTokens);
  task.total = PartOf(item, chunk, parts);
  KernelsFor(isa).attend(task);
}

void MergeChunks(Isa isa, const AttendItem& item, float* parts) {
  AttendTask task = {};
  LayOut(item, nullptr, &task);
  task.total = PartOf(item, 0, parts);
  for (int64_t chunk = 1; chunk < AttendChunks(item); ++chunk) {
    KernelsFor(isa).merge(task, chunk * kChunkTokens, PartOf(item, chunk, parts));
  }
  KernelsFor(isa).finish(task);
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
