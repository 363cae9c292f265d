#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace tenfold {

void CheckFailed(const char* file, int line, const char* condition, const char* message) {
  std::fprintf(stderr, "%s:%d: internal check failed: %s (%s). This is a bug in tenfold; please report it.\n", file,
               line, condition, message);
  std::abort();
}

}  // namespace tenfold
