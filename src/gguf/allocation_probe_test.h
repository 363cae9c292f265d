// Lets a test see how much memory one call asked for at once.
#pragma once

#include <cstddef>

namespace tenfold::gguf {

// Bytes of the largest single operator new since the last reset. For tests that allocate on one thread only.
extern size_t g_largest_allocation_bytes;

}  // namespace tenfold::gguf
