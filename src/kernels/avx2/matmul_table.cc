// The kernels of this folder as the table that dispatch, tests and benchmarks read.
#include "kernels/avx2/matmul_avx2.h"

namespace tenfold::kernels {

using namespace avx2;  // NOLINT(google-build-using-namespace): the table is a list of its functions

const MatmulKernels kMatmulAvx2 = {
    .formats = {{.format = tensor::DType::kF32, .direct_name = "gemm_f32_f32_1x6__avx2", .direct = DirectF32},
                {.format = tensor::DType::kF16, .direct_name = "gemm_f16_f32_1x6__avx2", .direct = DirectF16},
                {.format = tensor::DType::kQ8_0, .direct_name = "gemm_q8_a8_1x4__avx2", .direct = DirectQ8_0},
                {.format = tensor::DType::kQ4_K, .direct_name = "gemm_q4k_a8_1x4__avx2", .direct = DirectQ4K},
                {.format = tensor::DType::kQ6_K, .direct_name = "gemm_q6k_a8_1x4__avx2", .direct = DirectQ6K}},
    .quantize_float = QuantizeFloat,
    .quantize_8 = Quantize8,
    .quantize_k = QuantizeK,
};

}  // namespace tenfold::kernels
