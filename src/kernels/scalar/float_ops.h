// The scalar float operations, for their table.
#pragma once

#include "kernels/float_kernels.h"

namespace tenfold::kernels::scalar {

// Pages of int8 keys: a scale for each position and this many dims, then pairs of dims.
inline constexpr int64_t kKeyBlock = 32;
inline int64_t KeyScaleBytes(int64_t head_dim) { return (head_dim + kKeyBlock - 1) / kKeyBlock * 16 * 2; }

void Attend(const AttendTask& task);
void MergeChunk(const AttendTask& task, int64_t begin, const AttendState& from);
void FinishAttention(const AttendTask& task);

}  // namespace tenfold::kernels::scalar
