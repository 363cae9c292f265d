// The kernels of this folder as the table that dispatch, tests and benchmarks read.
#include "kernels/avx512vnni/matmul_avx512vnni.h"

namespace tenfold::kernels {

using namespace avx512vnni;  // NOLINT(google-build-using-namespace): the table is a list of its functions

// panel_min_tokens: where the panel path overtakes over whole layers of a 4B model, two threads, on Zen 5. There
// converting floats costs the direct kernels little; on CPUs that share ports between conversions and products the
// paths cross earlier, but the direct ones also round less, so the later crossing serves both.
const MatmulKernels kMatmulAvx512Vnni = {
    .formats = {{.format = tensor::DType::kF32, .direct_name = "gemm_f32_f32_2x12__avx512vnni", .direct = DirectF32},
                {.format = tensor::DType::kF16, .direct_name = "gemm_f16_f32_2x12__avx512vnni", .direct = DirectF16},
                {.format = tensor::DType::kQ8_0, .direct_name = "gemm_q8_a8_2x6__avx512vnni", .direct = DirectQ8_0},
                {.format = tensor::DType::kQ4_K,
                 .direct_name = "gemm_q4k_a8_2x6__avx512vnni",
                 .direct = DirectQ4K,
                 .panel_name = "gemm_q4k_a8_panel_2x12__avx512vnni",
                 .panel = PanelQ4K,
                 .panel_min_tokens = 64},
                {.format = tensor::DType::kQ6_K,
                 .direct_name = "gemm_q6k_a8_2x6__avx512vnni",
                 .direct = DirectQ6K,
                 .panel_name = "gemm_q6k_a8_panel_2x12__avx512vnni",
                 .panel = PanelQ6K,
                 .panel_min_tokens = 48}},
    .quantize_float = QuantizeFloat,
    .quantize_8 = Quantize8,
    .quantize_k = QuantizeK,
};

}  // namespace tenfold::kernels
