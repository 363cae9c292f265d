// Which instruction set the kernels use: the widest the machine has, unless TENFOLD_ISA says otherwise.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tenfold::kernels {

enum class Isa { kScalar = 0, kAvx2 = 1, kAvxVnni = 2, kAvx512Vnni = 3 };

std::string_view NameOf(Isa isa);  // "scalar" "avx2" "avxvnni" "avx512vnni"
std::optional<Isa> IsaFromName(std::string_view name);
bool IsSupported(Isa isa);         // by this CPU and operating system
std::vector<Isa> SupportedIsas();  // narrowest first; always holds kScalar
// The widest supported set, or the one `forced` names (pass getenv("TENFOLD_ISA"); null or "" means not forced).
// An unknown name or one this CPU lacks is an error that lists what it has.
Result<Isa> ChooseIsa(const char* forced);

}  // namespace tenfold::kernels
