// The kernels of this folder, and the float ones of the AVX2 folder, as the table that dispatch, tests and benchmarks
// read.
#include "kernels/avx2/matmul_avx2.h"
#include "kernels/avxvnni/matmul_avxvnni.h"

namespace tenfold::kernels {

// panel_min_tokens: where the panel path overtakes from cache, one core of Zen 4 running the EVEX form.
const MatmulKernels kMatmulAvxVnni = {
    .formats = {{.packing = Packing::kF32, .direct_name = "gemm_f32_f32_1x6__avxvnni", .direct = avx2::DirectF32},
                {.packing = Packing::kF16, .direct_name = "gemm_f16_f32_1x6__avxvnni", .direct = avx2::DirectF16},
                {.packing = Packing::kBF16, .direct_name = "gemm_bf16_f32_1x6__avxvnni", .direct = avx2::DirectBF16},
                {.packing = Packing::kQ8_0, .direct_name = "gemm_q8_a8_1x6__avxvnni", .direct = avxvnni::DirectQ8_0},
                {.packing = Packing::kQ4_0, .direct_name = "gemm_q4_0_a8_1x6__avxvnni", .direct = avxvnni::DirectQ4_0},
                {.packing = Packing::kQ4_1, .direct_name = "gemm_q4_1_a8_1x6__avxvnni", .direct = avxvnni::DirectQ4_1},
                {.packing = Packing::kQ4_K,
                 .direct_name = "gemm_q4k_a8_1x4__avxvnni",
                 .direct = avxvnni::DirectQ4K,
                 .panel_name = "gemm_q4k_a8_panel_1x6__avxvnni",
                 .panel = avxvnni::PanelQ4K,
                 .panel_min_tokens = 24},
                {.packing = Packing::kQ5_K,
                 .direct_name = "gemm_q5k_a8_1x4__avxvnni",
                 .direct = avxvnni::DirectQ5K,
                 .panel_name = "gemm_q5k_a8_panel_1x6__avxvnni",
                 .panel = avxvnni::PanelQ5K,
                 .panel_min_tokens = 24},
                {.packing = Packing::kQ6_K,
                 .direct_name = "gemm_q6k_a8_1x4__avxvnni",
                 .direct = avxvnni::DirectQ6K,
                 .panel_name = "gemm_q6k_a8_panel_1x6__avxvnni",
                 .panel = avxvnni::PanelQ6K,
                 .panel_min_tokens = 32},
                {.packing = Packing::kInt8By32,
                 .direct_name = "gemm_int8_32_a8_1x6__avxvnni",
                 .direct = avxvnni::DirectInt8By32},
                {.packing = Packing::kInt8By32Offset,
                 .direct_name = "gemm_int8_32o_a8_1x6__avxvnni",
                 .direct = avxvnni::DirectInt8By32Offset},
                {.packing = Packing::kInt8By16,
                 .direct_name = "gemm_int8_16_a8_1x6__avxvnni",
                 .direct = avxvnni::DirectInt8By16},
                {.packing = Packing::kInt8By16Offset,
                 .direct_name = "gemm_int8_16o_a8_1x6__avxvnni",
                 .direct = avxvnni::DirectInt8By16Offset}},
    .quantize_float = avx2::QuantizeFloat,
    .quantize_8 = avx2::Quantize8,
    .quantize_k = avx2::QuantizeK,
};

}  // namespace tenfold::kernels
