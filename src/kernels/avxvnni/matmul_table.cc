// The kernels of this folder, and the float ones of the AVX2 folder, as the table that dispatch, tests and benchmarks
// read.
#include "kernels/avx2/matmul_avx2.h"
#include "kernels/avxvnni/matmul_avxvnni.h"

namespace tenfold::kernels {

const MatmulKernels kMatmulAvxVnni = {
    .formats =
        {{.format = tensor::DType::kF32, .direct_name = "gemm_f32_f32_1x6__avxvnni", .direct = avx2::DirectF32},
         {.format = tensor::DType::kF16, .direct_name = "gemm_f16_f32_1x6__avxvnni", .direct = avx2::DirectF16},
         {.format = tensor::DType::kQ8_0, .direct_name = "gemm_q8_a8_1x6__avxvnni", .direct = avxvnni::DirectQ8_0},
         {.format = tensor::DType::kQ4_K, .direct_name = "gemm_q4k_a8_1x4__avxvnni", .direct = avxvnni::DirectQ4K},
         {.format = tensor::DType::kQ6_K, .direct_name = "gemm_q6k_a8_1x4__avxvnni", .direct = avxvnni::DirectQ6K}},
    .quantize_float = avx2::QuantizeFloat,
    .quantize_8 = avx2::Quantize8,
    .quantize_k = avx2::QuantizeK,
};

}  // namespace tenfold::kernels
