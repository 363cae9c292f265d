// The AVX-512 function table of the float operations: the shared kernels over this folder's vector, included first.
// clang-format off
#include "kernels/avx512vnni/vec.h"
#include "kernels/attend_tiles.h"
#include "kernels/float_tiles.h"
// clang-format on

namespace tenfold::kernels {

const FloatKernels kFloatKernelsAvx512Vnni = {AttendWithVec,          MergeWithVec,   FinishWithVec,
                                              WriteKvWithVec,         RmsNormWithVec, RopeHalvesWithVec,
                                              RopeInterleavedWithVec, AddWithVec,     SiluMulWithVec};

}  // namespace tenfold::kernels
