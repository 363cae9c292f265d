// Memory as the operating system gives it: read-only file maps, large anonymous buffers on huge pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/result.h"

namespace tenfold::platform {

// A whole regular file as read-only memory, mapped or read. Movable; unmaps when destroyed. Reading is safe from any
// thread. The size is that of the moment of opening. If another process shortens the file in place afterwards, reading
// beyond its new end raises SIGBUS, which no reader of a map can turn into an error: replace model files by renaming a
// new one over the old name, never by writing into them.
class MappedFile {
 public:
  // Errors name the path and the reason (missing, a directory, empty, no permission).
  static Result<MappedFile> Open(const std::string& path);
  // The same bytes read into memory of our own, for file systems that map badly: nothing done to the file afterwards
  // matters. `progress` is called between pieces of a few MiB; false abandons (kCancelled).
  using ReadProgress = std::function<bool(uint64_t done_bytes, uint64_t total_bytes)>;
  static Result<MappedFile> Read(const std::string& path, const ReadProgress& progress);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const uint8_t> bytes() const { return {data_, size_}; }
  // Asks for [offset, offset + length) to be read ahead. Like Release, a hint: what lies beyond the file is ignored.
  void WillNeed(size_t offset, size_t length) const;
  // Reads what is not in memory yet and enters [offset, offset + length) into the page table with one call, where
  // touching it would cost a page fault every 64 KiB. A hint too: kernels before 5.14 do nothing.
  void Enter(size_t offset, size_t length) const;
  // Gives the pages wholly inside [offset, offset + length) back: they stop counting as our resident memory. Do not
  // touch them again: those of a map would be read again from the page cache, those of a file that was read are gone.
  void Release(size_t offset, size_t length) const;

 private:
  MappedFile(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  void Advise(size_t offset, size_t length, int advice) const;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

// A zero-filled buffer, 2 MiB aligned, on transparent huge pages where the system allows. Pages appear when touched.
class HugeBuffer {
 public:
  HugeBuffer() = default;
  // Error: kResourceExhausted with the size asked for. 0 bytes is an empty buffer whose data() is null.
  static Result<HugeBuffer> Allocate(size_t bytes);
  HugeBuffer(HugeBuffer&& other) noexcept;
  HugeBuffer& operator=(HugeBuffer&& other) noexcept;
  ~HugeBuffer();

  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  // The kernel took the advice; HugePagesAllowed says whether it means anything.
  bool asked_huge_pages() const { return huge_; }

 private:
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
  size_t mapped_ = 0;
  bool huge_ = false;
};

// From now on no memory of this process lies on huge pages, whatever asks for them: for machines where they are slower,
// and to measure that. Error: the kernel does not know how (before 3.15).
Status ForbidHugePages();

// Whether the kernel's setting lets huge pages be had at all, and nobody has forbidden them. It takes the advice of
// HugeBuffer without complaint even where the setting is "never". root: "" for the real system; tests pass a folder.
// false without the setting. Any thread.
bool HugePagesAllowed(const std::string& root = "");

// How much of the buffer really lies on huge pages now (/proc/self/smaps; a buffer beside it that the kernel joined to
// it may be counted in, but never more than the buffer's size). 0 if unknown. About a millisecond. Any thread.
uint64_t HugePageBytes(std::span<const uint8_t> buffer);

// Resident set of this process in bytes (/proc/self/statm), 0 if unknown. Peak: VmHWM.
uint64_t ResidentBytes();
uint64_t PeakResidentBytes();

}  // namespace tenfold::platform
