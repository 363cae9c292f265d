// The scalar float operations, for their table.
#pragma once

#include "kernels/float_kernels.h"

namespace tenfold::kernels::scalar {

void Attend(const AttendTask& task);
void MergeChunk(const AttendTask& task, int64_t begin, const AttendState& from);
void FinishAttention(const AttendTask& task);

}  // namespace tenfold::kernels::scalar
