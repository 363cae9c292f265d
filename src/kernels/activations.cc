// Activations: memory for the records of a step, and quantisation token by token.
#include "kernels/activations.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/check.h"
#include "kernels/pack/layout.h"

namespace tenfold::kernels {

using tensor::DType;

RecordKind RecordKindOf(Packing packing) {
  switch (packing) {
    case Packing::kF32:
    case Packing::kF16:
    case Packing::kBF16:
      return RecordKind::kFloat;
    case Packing::kQ4_K:
    case Packing::kQ5_K:
    case Packing::kQ6_K:
      return RecordKind::kK;
    default:
      return RecordKind::k8;
  }
}

int64_t RecordColumns(RecordKind kind) {
  return kind == RecordKind::kFloat ? layout::kRecordFColumns : Activations::kBlockColumns;
}

size_t RecordBytes(RecordKind kind) {
  switch (kind) {
    case RecordKind::kFloat:
      return layout::kRecordFBytes;
    case RecordKind::k8:
      return layout::kRecord8Bytes;
    case RecordKind::kK:
      return layout::kRecordKBytes;
  }
  return 0;
}

void LineDeleter::operator()(uint8_t* p) const { ::operator delete (p, std::align_val_t{layout::kLine}); }

const Records& Activations::Impl::For(DType weight_format) const {
  const Records& found = records[static_cast<int>(RecordKindOf(PackingOf(weight_format)))];
  TENFOLD_CHECK(found.wanted, "activations were not prepared for this weight format");
  return found;
}

Activations::Activations() : impl_(std::make_unique<Impl>()) {}
Activations::~Activations() = default;
Activations::Activations(Activations&&) noexcept = default;
Activations& Activations::operator=(Activations&&) noexcept = default;

void Activations::Prepare(Isa isa, std::span<const DType> formats, const float* x, int64_t x_stride, int64_t tokens,
                          int64_t cols, Precision precision) {
  Impl& impl = *impl_;
  impl.kernels = &MatmulKernelsOf(isa);
  impl.x = x;
  impl.x_stride = x_stride;
  impl.tokens = tokens;
  impl.cols = cols;
  for (Records& r : impl.records) r.wanted = false;
  for (const DType format : formats) impl.records[static_cast<int>(RecordKindOf(PackingOf(format)))].wanted = true;
  for (int k = 0; k < kRecordKinds; ++k) {
    Records& r = impl.records[k];
    if (!r.wanted) continue;
    const auto kind = static_cast<RecordKind>(k);
    r.record_bytes = RecordBytes(kind);
    r.planes = precision == Precision::kExact && kind != RecordKind::kFloat ? 2 : 1;
    r.token_bytes = r.record_bytes * static_cast<size_t>(r.planes);
    r.block_stride = static_cast<size_t>(tokens) * r.token_bytes;
    r.blocks = (cols + RecordColumns(kind) - 1) / RecordColumns(kind);
    const size_t bytes = static_cast<size_t>(r.blocks) * r.block_stride;
    if (bytes <= r.capacity_bytes) continue;
    r.capacity_bytes = 0;
    r.memory.reset(static_cast<uint8_t*>(::operator new (bytes, std::align_val_t{layout::kLine})));
    r.capacity_bytes = bytes;
  }
}

namespace {

// rest[i] = x[i] - what the record of column i holds. Sources: the scales and quants of pack/layout.h.
void Remainder(RecordKind kind, const float* x, int64_t cols, const uint8_t* records, size_t block_stride,
               float* rest) {
  const bool is_k = kind == RecordKind::kK;
  const int64_t scale_columns = is_k ? layout::kActBlock : 32;
  const size_t scale_offset = is_k ? layout::kRecordKScale : layout::kRecord8Scale;
  const int64_t record_columns = RecordColumns(kind);
  for (int64_t begin = 0; begin < cols; begin += scale_columns) {
    const uint8_t* record = records + static_cast<size_t>(begin / record_columns) * block_stride;
    const int64_t inside = begin % record_columns;
    float scale = 0;
    std::memcpy(&scale, record + scale_offset + static_cast<size_t>(inside / scale_columns) * sizeof(float),
                sizeof(float));
    const auto* q = reinterpret_cast<const int8_t*>(record) + inside;
    const int64_t n = std::min(scale_columns, cols - begin);
    for (int64_t i = 0; i < n; ++i) rest[begin + i] = x[begin + i] - scale * static_cast<float>(q[i]);
  }
}

}  // namespace

void Activations::Quantize(int64_t begin, int64_t end) { QuantizeColumns(begin, end, 0, impl_->cols); }

void Activations::QuantizeColumns(int64_t begin, int64_t end, int64_t first, int64_t cols) {
  const Impl& impl = *impl_;
  TENFOLD_CHECK(first % kBlockColumns == 0 && first + cols <= impl.cols, "columns are quantised in whole blocks");
  const QuantizeFn functions[kRecordKinds] = {impl.kernels->quantize_float, impl.kernels->quantize_8,
                                              impl.kernels->quantize_k};
  for (int k = 0; k < kRecordKinds; ++k) {
    const Records& r = impl.records[k];
    if (!r.wanted) continue;
    const auto kind = static_cast<RecordKind>(k);
    uint8_t* const block = r.memory.get() + static_cast<size_t>(first / RecordColumns(kind)) * r.block_stride;
    for (int64_t t = begin; t < end; ++t) {
      const float* x = impl.x + t * impl.x_stride + first;
      uint8_t* records = block + static_cast<size_t>(t) * r.token_bytes;
      functions[k](x, cols, records, r.block_stride);
      if (r.planes == 1) continue;
      for (int64_t c = 0; c < cols; c += kBlockColumns, records += r.block_stride) {
        float rest[kBlockColumns];
        const int64_t n = std::min(kBlockColumns, cols - c);
        Remainder(kind, x + c, n, records, r.block_stride, rest);
        functions[k](rest, n, records + r.record_bytes, r.block_stride);
      }
    }
  }
}

size_t Activations::BytesFor(std::span<const DType> formats, int64_t tokens, int64_t cols, Precision precision) {
  bool wanted[kRecordKinds] = {};
  for (const DType format : formats) wanted[static_cast<int>(RecordKindOf(PackingOf(format)))] = true;
  size_t bytes = 0;
  for (int k = 0; k < kRecordKinds; ++k) {
    if (!wanted[k]) continue;
    const auto kind = static_cast<RecordKind>(k);
    const int64_t blocks = (cols + RecordColumns(kind) - 1) / RecordColumns(kind);
    const size_t planes = precision == Precision::kExact && kind != RecordKind::kFloat ? 2 : 1;
    bytes += static_cast<size_t>(blocks * tokens) * planes * RecordBytes(kind);
  }
  return bytes;
}

size_t Activations::reserved_bytes() const {
  size_t bytes = 0;
  for (const Records& r : impl_->records) bytes += r.capacity_bytes;
  return bytes;
}

int64_t Activations::tokens() const { return impl_->tokens; }
int64_t Activations::cols() const { return impl_->cols; }

}  // namespace tenfold::kernels
