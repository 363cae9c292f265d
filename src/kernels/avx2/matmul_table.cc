// The kernels of this folder as the table that dispatch, tests and benchmarks read.
#include "kernels/avx2/matmul_avx2.h"

namespace tenfold::kernels {

using namespace avx2;  // NOLINT(google-build-using-namespace): the table is a list of its functions

const MatmulKernels kMatmulAvx2 = {
    .formats = {{.packing = Packing::kF32, .direct_name = "gemm_f32_f32_1x6__avx2", .direct = DirectF32},
                {.packing = Packing::kF16, .direct_name = "gemm_f16_f32_1x6__avx2", .direct = DirectF16},
                {.packing = Packing::kBF16, .direct_name = "gemm_bf16_f32_1x6__avx2", .direct = DirectBF16},
                {.packing = Packing::kQ8_0, .direct_name = "gemm_q8_a8_1x4__avx2", .direct = DirectQ8_0},
                {.packing = Packing::kQ4_0, .direct_name = "gemm_q4_0_a8_1x4__avx2", .direct = DirectQ4_0},
                {.packing = Packing::kQ4_1, .direct_name = "gemm_q4_1_a8_1x4__avx2", .direct = DirectQ4_1},
                {.packing = Packing::kQ4_K, .direct_name = "gemm_q4k_a8_1x6__avx2", .direct = DirectQ4K},
                {.packing = Packing::kQ5_K, .direct_name = "gemm_q5k_a8_1x6__avx2", .direct = DirectQ5K},
                {.packing = Packing::kQ6_K, .direct_name = "gemm_q6k_a8_1x6__avx2", .direct = DirectQ6K},
                {.packing = Packing::kInt8By32, .direct_name = "gemm_int8_32_a8_1x4__avx2", .direct = DirectInt8By32},
                {.packing = Packing::kInt8By32Offset,
                 .direct_name = "gemm_int8_32o_a8_1x4__avx2",
                 .direct = DirectInt8By32Offset},
                {.packing = Packing::kInt8By16, .direct_name = "gemm_int8_16_a8_1x4__avx2", .direct = DirectInt8By16},
                {.packing = Packing::kInt8By16Offset,
                 .direct_name = "gemm_int8_16o_a8_1x4__avx2",
                 .direct = DirectInt8By16Offset}},
    .quantize_float = QuantizeFloat,
    .quantize_8 = Quantize8,
    .quantize_k = QuantizeK,
};

}  // namespace tenfold::kernels
