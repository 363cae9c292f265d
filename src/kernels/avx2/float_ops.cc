// The AVX2 function table of the float operations: the shared kernels over this folder's vector, included first.
// clang-format off
#include "kernels/avx2/vec.h"
#include "kernels/attend_tiles.h"
#include "kernels/float_tiles.h"
// clang-format on

namespace tenfold::kernels {

const FloatKernels kFloatKernelsAvx2 = {AttendWithVec,          MergeWithVec,   FinishWithVec,
                                        WriteKvWithVec,         RmsNormWithVec, RopeHalvesWithVec,
                                        RopeInterleavedWithVec, AddWithVec,     SiluMulWithVec};

}  // namespace tenfold::kernels
