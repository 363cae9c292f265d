// Inside of Activations: which records exist and where. Private to kernels/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/matmul.h"
#include "kernels/matmul_kernels.h"

namespace tenfold::kernels {

// The three kinds of activation record (pack/layout.h).
enum class RecordKind { kFloat = 0, k8 = 1, kK = 2 };
inline constexpr int kRecordKinds = 3;
RecordKind RecordKindOf(Packing packing);
int64_t RecordColumns(RecordKind kind);
size_t RecordBytes(RecordKind kind);

struct LineDeleter {
  void operator()(uint8_t* p) const;
};

// Records of one kind: (blocks, tokens, planes) records of record_bytes, block_stride bytes from block to block.
// To a kernel the two planes of a token are two tokens; their products are added afterwards.
struct Records {
  bool wanted = false;
  std::unique_ptr<uint8_t, LineDeleter> memory;  // 64-byte aligned, kept between steps
  size_t capacity_bytes = 0;
  size_t record_bytes = 0;
  int planes = 1;
  size_t token_bytes = 0;  // planes * record_bytes
  size_t block_stride = 0;
  int64_t blocks = 0;
};

struct Activations::Impl {
  const MatmulKernels* kernels = nullptr;
  const float* x = nullptr;
  int64_t x_stride = 0;
  int64_t tokens = 0;
  int64_t cols = 0;
  Records records[kRecordKinds];

  // Records for weights of this format; it must have been among those given to Prepare.
  const Records& For(tensor::DType weight_format) const;
};

}  // namespace tenfold::kernels
