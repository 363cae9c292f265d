#include "platform/memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <utility>

#include "base/checked_math.h"
#include "platform/available_memory.h"

namespace tenfold::platform {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kReadPiece = size_t{8} << 20;
constexpr int kPopulateRead = 22;  // MADV_POPULATE_READ, Linux 5.14: newer than some headers that we compile with

size_t PageBytes() {
  static const auto bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

// Closes a descriptor at the end of a scope; a map outlives its descriptor.
struct Descriptor {
  explicit Descriptor(int number) : fd(number) {}
  Descriptor(Descriptor&& other) noexcept : fd(std::exchange(other.fd, -1)) {}
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
  int fd;
};

struct OpenFile {
  Descriptor descriptor;
  size_t size;  // at least 1
};

const char* KindOf(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

Result<OpenFile> OpenRegular(const std::string& path) {
  // O_NONBLOCK: opening a pipe that nobody writes to would otherwise wait for ever.
  Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
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
  return OpenFile{std::move(file), static_cast<size_t>(info.st_size)};
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
  TENFOLD_TRY(const OpenFile file, OpenRegular(path));
  void* data = mmap(nullptr, file.size, PROT_READ, MAP_PRIVATE, file.descriptor.fd, 0);
  if (data == MAP_FAILED) {
    return Error{ErrorCode::kIo, fmt::format("cannot map '{}' ({} bytes): {}", path, file.size, std::strerror(errno))};
  }
  return MappedFile(static_cast<const uint8_t*>(data), file.size);
}

Result<MappedFile> MappedFile::Read(const std::string& path, const ReadProgress& progress) {
  TENFOLD_TRY(const OpenFile file, OpenRegular(path));
  if (const uint64_t available = AvailableMemoryBytes(); available > 0 && available < file.size) {
    return Error{ErrorCode::kResourceExhausted,
                 fmt::format("reading '{}' into memory needs {} bytes, but {} are free; map it instead (--mmap)", path,
                             file.size, available)};
  }
  void* data = mmap(nullptr, file.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) {
    return Error{ErrorCode::kResourceExhausted,
                 fmt::format("no room to read '{}' into memory ({} bytes): {}", path, file.size, std::strerror(errno))};
  }
  MappedFile read(static_cast<const uint8_t*>(data), file.size);  // unmaps on every way out
  posix_fadvise(file.descriptor.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  size_t done = 0;
  while (done < file.size) {
    if (!progress(done, file.size)) return Error{ErrorCode::kCancelled, "the load was cancelled"};
    const size_t piece = std::min(kReadPiece, file.size - done);
    const ssize_t n = pread(file.descriptor.fd, static_cast<uint8_t*>(data) + done, piece, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error{ErrorCode::kIo, fmt::format("cannot read '{}': {}", path, std::strerror(errno))};
    if (n == 0) {
      return Error{ErrorCode::kIo,
                   fmt::format("'{}' became shorter while it was read: {} of {} bytes came", path, done, file.size)};
    }
    done += static_cast<size_t>(n);
  }
  mprotect(data, file.size, PROT_READ);
  return read;
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

void MappedFile::Advise(size_t offset, size_t length, int advice) const {
  if (offset >= size_) return;
  const size_t begin = offset / PageBytes() * PageBytes();
  const size_t end = offset + std::min(length, size_ - offset);
  madvise(const_cast<uint8_t*>(data_) + begin, end - begin, advice);
}

void MappedFile::WillNeed(size_t offset, size_t length) const { Advise(offset, length, MADV_WILLNEED); }

void MappedFile::Enter(size_t offset, size_t length) const { Advise(offset, length, kPopulateRead); }

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

Status ForbidHugePages() {
  if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0) return {};
  return Error{ErrorCode::kUnsupported, fmt::format("huge pages cannot be forbidden here: {}", std::strerror(errno))};
}

// The file reads "always [madvise] never": the brackets stand around what holds.
bool HugePagesAllowed(const std::string& root) {
  if (root.empty() && prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1) return false;
  std::ifstream file(root + "/sys/kernel/mm/transparent_hugepage/enabled");
  std::string line;
  if (!std::getline(file, line)) return false;
  return line.find("[always]") != std::string::npos || line.find("[madvise]") != std::string::npos;
}

// smaps: a line "7f00-7f80 rw-p ..." for each map, then lines "Field:   number kB" about it.
uint64_t HugePageBytes(std::span<const uint8_t> buffer) {
  const auto begin = reinterpret_cast<uintptr_t>(buffer.data());
  const uintptr_t end = begin + buffer.size();
  std::ifstream smaps("/proc/self/smaps");
  uint64_t bytes = 0;
  bool ours = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long long from = 0;
    unsigned long long to = 0;
    unsigned long long kib = 0;
    if (std::sscanf(line.c_str(), "%llx-%llx ", &from, &to) == 2) {
      ours = from < end && begin < to;
    } else if (ours && std::sscanf(line.c_str(), "AnonHugePages: %llu", &kib) == 1) {
      bytes += kib * 1024;
    }
  }
  return std::min<uint64_t>(bytes, buffer.size());
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
