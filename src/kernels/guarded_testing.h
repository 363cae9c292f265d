// For tests: memory between pages that cannot be touched, so that a read or write outside it ends the program.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace tenfold::kernels {

enum class Against { kFront, kBack };

// A copy of `bytes` bytes (a multiple of what they must be aligned to) that begins or ends at a page which cannot be
// touched.
class Guarded {
 public:
  Guarded(const void* from, size_t bytes, Against side) : page_(static_cast<size_t>(sysconf(_SC_PAGESIZE))) {
    const size_t inside = (bytes + page_ - 1) / page_ * page_;
    mapped_ = inside + 2 * page_;
    void* map = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) std::abort();
    base_ = static_cast<uint8_t*>(map);
    if (mprotect(base_ + page_, inside, PROT_READ | PROT_WRITE) != 0) std::abort();
    data_ = base_ + page_ + (side == Against::kFront ? 0 : inside - bytes);
    if (from != nullptr) std::memcpy(data_, from, bytes);
  }
  ~Guarded() { munmap(base_, mapped_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  uint8_t* data() const { return data_; }
  // The bytes just outside, for the test of this class.
  const uint8_t* before() const { return base_ + page_ - 1; }
  const uint8_t* behind() const { return base_ + mapped_ - page_; }

 private:
  size_t page_;
  size_t mapped_ = 0;
  uint8_t* base_ = nullptr;
  uint8_t* data_ = nullptr;
};

}  // namespace tenfold::kernels
