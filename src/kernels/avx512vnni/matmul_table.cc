// The kernels of this folder as the table that dispatch, tests and benchmarks read.
#include "kernels/avx512vnni/matmul_avx512vnni.h"

namespace tenfold::kernels {

using namespace avx512vnni;  // NOLINT(google-build-using-namespace): the table is a list of its functions

// panel_min_tokens: where the panel path overtakes the direct one on Zen 4, weights from memory, at 8, 10, 12, 14, 16,
// 17, 24, 32 and more tokens; Q5_K's from 12 on. Other CPUs were not measured with these kernels.
const MatmulKernels kMatmulAvx512Vnni = {
    .formats =
        {{.packing = Packing::kF32, .direct_name = "gemm_f32_f32_2x12__avx512vnni", .direct = DirectF32},
         {.packing = Packing::kF16, .direct_name = "gemm_f16_f32_2x12__avx512vnni", .direct = DirectF16},
         {.packing = Packing::kBF16, .direct_name = "gemm_bf16_f32_2x12__avx512vnni", .direct = DirectBF16},
         {.packing = Packing::kQ8_0, .direct_name = "gemm_q8_a8_2x6__avx512vnni", .direct = DirectQ8_0},
         {.packing = Packing::kQ4_0, .direct_name = "gemm_q4_0_a8_2x6__avx512vnni", .direct = DirectQ4_0},
         {.packing = Packing::kQ4_1, .direct_name = "gemm_q4_1_a8_2x6__avx512vnni", .direct = DirectQ4_1},
         {.packing = Packing::kQ4_K,
          .direct_name = "gemm_q4k_a8_1x12__avx512vnni",
          .direct = DirectQ4K,
          .panel_name = "gemm_q4k_a8_panel_2x12__avx512vnni",
          .panel = PanelQ4K,
          .panel_min_tokens = 12},
         {.packing = Packing::kQ5_K,
          .direct_name = "gemm_q5k_a8_1x12__avx512vnni",
          .direct = DirectQ5K,
          .panel_name = "gemm_q5k_a8_panel_2x12__avx512vnni",
          .panel = PanelQ5K,
          .panel_min_tokens = 10},
         {.packing = Packing::kQ6_K,
          .direct_name = "gemm_q6k_a8_1x12__avx512vnni",
          .direct = DirectQ6K,
          .panel_name = "gemm_q6k_a8_panel_2x12__avx512vnni",
          .panel = PanelQ6K,
          .panel_min_tokens = 12},
         {.packing = Packing::kInt8By32, .direct_name = "gemm_int8_32_a8_2x6__avx512vnni", .direct = DirectInt8By32},
         {.packing = Packing::kInt8By32Offset,
          .direct_name = "gemm_int8_32o_a8_2x6__avx512vnni",
          .direct = DirectInt8By32Offset},
         {.packing = Packing::kInt8By16, .direct_name = "gemm_int8_16_a8_2x6__avx512vnni", .direct = DirectInt8By16},
         {.packing = Packing::kInt8By16Offset,
          .direct_name = "gemm_int8_16o_a8_2x6__avx512vnni",
          .direct = DirectInt8By16Offset}},
    .quantize_float = QuantizeFloat,
    .quantize_8 = Quantize8,
    .quantize_k = QuantizeK,
};

}  // namespace tenfold::kernels
