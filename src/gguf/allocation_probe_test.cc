// Replaces the test program's operator new. In a file of its own because a compiler that inlines one half of a new and
// delete pair, and not the other, warns of a mismatch.
#include "gguf/allocation_probe_test.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace tenfold::gguf {
size_t g_largest_allocation_bytes = 0;
}  // namespace tenfold::gguf

void* operator new(size_t size) {
  auto& largest = tenfold::gguf::g_largest_allocation_bytes;
  largest = std::max(largest, size);
  if (void* p = std::malloc(size > 0 ? size : 1)) return p;
  std::abort();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
