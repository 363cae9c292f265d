// The file's tensors into the arena, with all threads: matrices to the kernels' panels, vectors to floats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "gguf/file.h"
#include "gguf/model_file.h"
#include "kernels/packed_matrix.h"
#include "platform/thread_pool.h"

namespace tenfold::model {

// One tensor of the file and where it goes: exactly one of matrix and vector is set.
struct Binding {
  const gguf::TensorInfo* tensor = nullptr;
  kernels::PackedMatrix* matrix = nullptr;  // shape and format are set, data is not yet
  const float** vector = nullptr;
  size_t arena_offset = 0;  // a multiple of 64
  size_t arena_bytes = 0;
};

// Called every 2 MiB or so, by the thread that called, with how far in the file (all parts, end to end) everything is
// packed, and its size; the end of every tensor is among the calls. Never goes back, and reaches the size when all is
// done. Returning false abandons the load (kCancelled).
using LoadProgress = std::function<bool(uint64_t done_bytes, uint64_t total_bytes)>;

// bindings: in file order; arena: room for all of them, fresh and untouched for the least page faults. Gives the file's
// pages back as it goes: no more than 2 MiB a thread, and never more than a 32nd of the arena, are mapped at once.
// Says nothing of the beginning and the end (0 and the file's size). False: progress returned false.
bool PackTensors(const gguf::ModelFile& file, std::span<const Binding> bindings, uint8_t* arena,
                 platform::ThreadPool& pool, const LoadProgress& progress);

}  // namespace tenfold::model
