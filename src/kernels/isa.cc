// Names of the instruction sets, which of them this machine has, and which one to use.
#include "kernels/isa.h"

#include <string>

#include "platform/cpu.h"

namespace tenfold::kernels {
namespace {

constexpr Isa kAllIsas[] = {Isa::kScalar, Isa::kAvx2, Isa::kAvxVnni, Isa::kAvx512Vnni};

}  // namespace

std::string_view NameOf(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return "scalar";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvxVnni:
      return "avxvnni";
    case Isa::kAvx512Vnni:
      return "avx512vnni";
  }
  return "unknown";
}

std::optional<Isa> IsaFromName(std::string_view name) {
  for (const Isa isa : kAllIsas) {
    if (name == NameOf(isa)) return isa;
  }
  return std::nullopt;
}

bool IsSupported(Isa isa) {
  const platform::CpuFeatures& cpu = platform::DetectCpu();
  switch (isa) {
    case Isa::kScalar:
      return true;
    case Isa::kAvx2:
      return cpu.avx2;
    case Isa::kAvxVnni:
      return cpu.avx2 && cpu.avxvnni;
    case Isa::kAvx512Vnni:
      return cpu.avx2 && cpu.avx512vnni;
  }
  return false;
}

std::vector<Isa> SupportedIsas() {
  std::vector<Isa> supported;
  for (const Isa isa : kAllIsas) {
    if (IsSupported(isa)) supported.push_back(isa);
  }
  return supported;
}

Result<Isa> ChooseIsa(const char* forced) {
  const std::vector<Isa> supported = SupportedIsas();
  if (forced == nullptr || *forced == '\0') return supported.back();
  const std::optional<Isa> named = IsaFromName(forced);
  if (named.has_value() && IsSupported(*named)) return *named;
  std::string have;
  for (const Isa isa : supported) {
    if (!have.empty()) have += ", ";
    have += NameOf(isa);
  }
  return Error{ErrorCode::kUnsupported, std::string("TENFOLD_ISA asks for \"") + forced + "\", " +
                                            (named.has_value() ? "which this CPU lacks" : "which is not a known name") +
                                            "; this machine has " + have + "."};
}

}  // namespace tenfold::kernels
