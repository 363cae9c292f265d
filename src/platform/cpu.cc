#include "platform/cpu.h"

#include <cpuid.h>

#include <cstring>

namespace tenfold::platform {
namespace {

bool Has(uint64_t word, std::initializer_list<int> bits) {
  for (int bit : bits) {
    if ((word >> bit & 1) == 0) return false;
  }
  return true;
}

// Inline assembly, because the intrinsic needs a compiler flag that the baseline build does not have.
uint64_t ReadXcr0() {
  uint32_t low;
  uint32_t high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

CpuidWords ReadCpuid() {
  CpuidWords words;
  uint32_t a;
  uint32_t b;
  uint32_t c;
  uint32_t d;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return words;
  words.leaf1_ecx = c;
  if (Has(c, {27})) words.xcr0 = ReadXcr0();
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return words;
  words.leaf7_ebx = b;
  words.leaf7_ecx = c;
  const uint32_t last_subleaf = a;
  if (last_subleaf >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0) words.leaf7_1_eax = a;
  return words;
}

std::string ReadModelName() {
  uint32_t words[12];
  for (uint32_t i = 0; i < 3; ++i) {
    uint32_t* w = words + 4 * i;
    if (__get_cpuid(0x80000002U + i, &w[0], &w[1], &w[2], &w[3]) == 0) return "";
  }
  char text[sizeof words + 1] = {};
  std::memcpy(text, words, sizeof words);
  std::string name = text;
  const size_t first = name.find_first_not_of(' ');
  if (first == std::string::npos) return "";
  return name.substr(first, name.find_last_not_of(' ') - first + 1);
}

}  // namespace

CpuFeatures DecodeCpuid(const CpuidWords& words) {
  CpuFeatures out;
  const bool os_saves_ymm = Has(words.leaf1_ecx, {27}) && Has(words.xcr0, {1, 2});
  const bool os_saves_zmm = os_saves_ymm && Has(words.xcr0, {5, 6, 7});
  // leaf 1 ecx: 12 fma, 28 avx, 29 f16c. leaf 7 ebx: 5 avx2, 8 bmi2, 16 f, 17 dq, 30 bw, 31 vl; ecx: 11 vnni.
  out.avx2 = os_saves_ymm && Has(words.leaf1_ecx, {12, 28, 29}) && Has(words.leaf7_ebx, {5, 8});
  out.avxvnni = out.avx2 && Has(words.leaf7_1_eax, {4});
  out.avx512vnni = out.avx2 && os_saves_zmm && Has(words.leaf7_ebx, {16, 17, 30, 31}) && Has(words.leaf7_ecx, {11});
  return out;
}

const CpuFeatures& DetectCpu() {
  static const CpuFeatures features = [] {
    CpuFeatures found = DecodeCpuid(ReadCpuid());
    found.model_name = ReadModelName();
    return found;
  }();
  return features;
}

}  // namespace tenfold::platform
