// The matrix kernels of this folder and their dot product; what has no integer product in it is the AVX2 folder's.
#pragma once

#include "kernels/avx2/ymm.h"
#include "kernels/matmul_kernels.h"

namespace tenfold::kernels::avxvnni {

// Contracts: TileFn in kernels/matmul_kernels.h.
void DirectQ8_0(const TileArgs& args);
void DirectQ4_0(const TileArgs& args);
void DirectQ4_1(const TileArgs& args);
void DirectInt8By32(const TileArgs& args);
void DirectInt8By32Offset(const TileArgs& args);
void DirectInt8By16(const TileArgs& args);
void DirectInt8By16Offset(const TileArgs& args);
void DirectQ4K(const TileArgs& args);
void DirectQ5K(const TileArgs& args);
void DirectQ6K(const TileArgs& args);
void PanelQ4K(const TileArgs& args);
void PanelQ5K(const TileArgs& args);
void PanelQ6K(const TileArgs& args);

// The prefix asks for the VEX form, which CPUs without AVX-512 have. kernels_evex_test compiles this folder without it:
// then CPUs that have the instruction in its EVEX form only (Zen 4, Ice Lake) can run the same kernels.
#ifdef TENFOLD_EVEX_VNNI
#define TENFOLD_DOT4 "vpdpbusd"
#else
#define TENFOLD_DOT4 "%{vex%} vpdpbusd"
#endif

// acc[lane] += sum over 4 of u8[lane][i] * s8[lane][i]. In assembly because GCC 12 copies the accumulator around the
// intrinsic.
TENFOLD_YMM_INLINE void Dot4(__m256i& acc, __m256i u8, __m256i s8) {
  asm(TENFOLD_DOT4 " %2, %1, %0" : "+x"(acc) : "x"(u8), "x"(s8));
}

}  // namespace tenfold::kernels::avxvnni
