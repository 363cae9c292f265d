#include "platform/memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <utility>

#include "base/checked_math.h"

namespace tenfold::platform {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

size_t PageBytes() {
  static const auto bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

// Closes a descriptor at the end of a scope; a map outlives its descriptor.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

const char* KindOf(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

// The number on the line "<field> <number> kB" of a /proc status file, in bytes; 0 if absent.
uint64_t ProcStatusBytes(const char* field) {
  std::FILE* file = std::fopen("/proc/self/status", "re");
  if (file == nullptr) return 0;
  char line[256];
  uint64_t kib = 0;
  const size_t length = std::strlen(field);
  while (std::fgets(line, sizeof line, file) != nullptr) {
    if (std::strncmp(line, field, length) != 0) continue;
    unsigned long long value = 0;
    if (std::sscanf(line + length, " %llu", &value) == 1) kib = value;
    break;
  }
  std::fclose(file);
  return kib * 1024;
}

}  // namespace

Result<MappedFile> MappedFile::Open(const std::string& path) {
  // O_NONBLOCK: opening a pipe that nobody writes to would otherwise wait for ever.
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) {
    const int reason = errno;
    return Error{reason == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                 fmt::format("cannot open '{}': {}", path, std::strerror(reason))};
  }
  struct stat info;
  if (fstat(file.fd, &info) != 0) {
    return Error{ErrorCode::kIo, fmt::format("cannot read the size of '{}': {}", path, std::strerror(errno))};
  }
  if (!S_ISREG(info.st_mode)) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("'{}' is {}, not a regular file", path, KindOf(info.st_mode))};
  }
  if (info.st_size <= 0) return Error{ErrorCode::kCorrupt, fmt::format("'{}' is empty", path)};
  const auto size = static_cast<size_t>(info.st_size);
  void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (data == MAP_FAILED) {
    return Error{ErrorCode::kIo, fmt::format("cannot map '{}' ({} bytes): {}", path, size, std::strerror(errno))};
  }
  return MappedFile(static_cast<const uint8_t*>(data), size);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  MappedFile taken(std::move(other));  // our old map goes when this scope ends; assigning to oneself keeps it
  std::swap(data_, taken.data_);
  std::swap(size_, taken.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<uint8_t*>(data_), size_);
}

void MappedFile::WillNeed(size_t offset, size_t length) const {
  if (offset >= size_) return;
  const size_t begin = offset / PageBytes() * PageBytes();
  const size_t end = offset + std::min(length, size_ - offset);
  madvise(const_cast<uint8_t*>(data_) + begin, end - begin, MADV_WILLNEED);
}

void MappedFile::Release(size_t offset, size_t length) const {
  if (offset >= size_) return;
  const size_t page = PageBytes();
  const size_t begin = (offset + page - 1) / page * page;
  size_t end = offset + std::min(length, size_ - offset);
  if (end != size_) end = end / page * page;  // the file's last, partial page belongs to its end alone
  if (begin < end) madvise(const_cast<uint8_t*>(data_) + begin, end - begin, MADV_DONTNEED);
}

Result<HugeBuffer> HugeBuffer::Allocate(size_t bytes) {
  HugeBuffer buffer;
  if (bytes == 0) return buffer;
  const Error refused{ErrorCode::kResourceExhausted,
                      fmt::format("the system has no room for a buffer of {} bytes ({:.1f} GiB)", bytes,
                                  static_cast<double>(bytes) / (1 << 30))};
  const auto rounded = CheckedRoundUp(bytes, kHugePage);
  const auto reserved = rounded ? CheckedAdd(*rounded, kHugePage) : std::nullopt;
  if (!reserved) return refused;
  void* raw = mmap(nullptr, *reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) return refused;

  // Keep the 2 MiB aligned middle, give the two ends back.
  auto* start = static_cast<uint8_t*>(raw);
  const size_t head = (kHugePage - reinterpret_cast<uintptr_t>(start) % kHugePage) % kHugePage;
  const size_t tail = kHugePage - head;
  if (head > 0) munmap(start, head);
  if (tail > 0) munmap(start + head + *rounded, tail);
  buffer.data_ = start + head;
  buffer.size_ = bytes;
  buffer.mapped_ = *rounded;
  buffer.huge_ = madvise(buffer.data_, buffer.mapped_, MADV_HUGEPAGE) == 0;
  return buffer;
}

HugeBuffer::HugeBuffer(HugeBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapped_(std::exchange(other.mapped_, 0)),
      huge_(std::exchange(other.huge_, false)) {}

HugeBuffer& HugeBuffer::operator=(HugeBuffer&& other) noexcept {
  HugeBuffer taken(std::move(other));
  std::swap(data_, taken.data_);
  std::swap(size_, taken.size_);
  std::swap(mapped_, taken.mapped_);
  std::swap(huge_, taken.huge_);
  return *this;
}

HugeBuffer::~HugeBuffer() {
  if (data_ != nullptr) munmap(data_, mapped_);
}

// The file reads "always [madvise] never": the brackets stand around what holds.
bool HugePagesAllowed(const std::string& root) {
  std::ifstream file(root + "/sys/kernel/mm/transparent_hugepage/enabled");
  std::string line;
  if (!std::getline(file, line)) return false;
  return line.find("[always]") != std::string::npos || line.find("[madvise]") != std::string::npos;
}

LockResult LockMemory(std::span<const uint8_t> bytes) {
  if (bytes.empty() || mlock(bytes.data(), bytes.size()) == 0) return {bytes.size(), ""};
  const int reason = errno;
  rlimit limit{};
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    return {0, fmt::format("mlock of {} bytes failed: {}", bytes.size(), std::strerror(reason))};
  }
  // The limit counts whole pages over all locks of the process. Lock the pages wholly inside the part that still fits.
  const size_t page = PageBytes();
  const uint64_t already = ProcStatusBytes("VmLck:");
  const uint64_t room = limit.rlim_cur > already ? limit.rlim_cur - already : 0;
  const size_t misaligned = reinterpret_cast<uintptr_t>(bytes.data()) % page;
  size_t locked = std::min<uint64_t>(room / page * page, bytes.size());
  locked = locked > misaligned ? locked - misaligned : 0;
  if (locked > 0 && mlock(bytes.data(), locked) != 0) locked = 0;
  return {locked, fmt::format("locked {} of {} bytes: the memory lock limit is {} bytes, raise it with `ulimit -l` or "
                              "LimitMEMLOCK=infinity",
                              locked, bytes.size(), limit.rlim_cur)};
}

uint64_t ResidentBytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  unsigned long long total = 0;
  unsigned long long resident = 0;
  const int fields = std::fscanf(file, "%llu %llu", &total, &resident);
  std::fclose(file);
  return fields == 2 ? resident * PageBytes() : 0;
}

uint64_t PeakResidentBytes() { return ProcStatusBytes("VmHWM:"); }

}  // namespace tenfold::platform
