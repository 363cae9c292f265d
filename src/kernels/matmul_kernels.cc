// The one place that maps an instruction set to its table.
#include "kernels/matmul_kernels.h"

#include "base/check.h"

namespace tenfold::kernels {

const MatmulKernels& MatmulKernelsOf(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return kMatmulScalar;
    case Isa::kAvx2:
      return kMatmulAvx2;
    case Isa::kAvxVnni:
      return kMatmulAvxVnni;
    case Isa::kAvx512Vnni:
      return kMatmulAvx512Vnni;
  }
  TENFOLD_CHECK(false, "an instruction set without a table");
  return kMatmulScalar;
}

const FormatKernels& KernelsOf(Isa isa, Packing packing) {
  for (const FormatKernels& kernels : MatmulKernelsOf(isa).formats) {
    if (kernels.packing == packing) return kernels;
  }
  TENFOLD_CHECK(false, "a weight layout without kernels");
  return kMatmulScalar.formats[0];
}

}  // namespace tenfold::kernels
