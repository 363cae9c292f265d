// What placement.h chose, done to the calling thread.
#pragma once

#include "base/result.h"
#include "platform/placement.h"

namespace tenfold::platform {

// Binds the calling thread, compute worker `worker`, to its CPU and its memory to the nodes. A memory policy that the
// process was started with (numactl) is left alone. Errors are reasons to warn, not to stop.
Status BindThread(const Placement& placement, int worker);

}  // namespace tenfold::platform
