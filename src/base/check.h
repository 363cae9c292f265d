// TENFOLD_CHECK: stops the process on a bug of ours. Never for input from a file, a flag or a socket: those are
// Results.
#pragma once

namespace tenfold {
// Prints file, line, condition and message to stderr and aborts. Any thread.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition, const char* message);
}  // namespace tenfold

#define TENFOLD_CHECK(cond, message)                                           \
  do {                                                                         \
    if (!(cond)) ::tenfold::CheckFailed(__FILE__, __LINE__, #cond, (message)); \
  } while (0)
