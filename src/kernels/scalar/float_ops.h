// The scalar float operations, for their table.
#pragma once

#include "kernels/float_kernels.h"

namespace tenfold::kernels::scalar {

void Attend(const AttendTask& task);

}  // namespace tenfold::kernels::scalar
