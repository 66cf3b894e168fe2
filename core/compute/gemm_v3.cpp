// SPDX-License-Identifier: GPL-3.0-or-later
// The GEMM kernels for AVX2 and FMA (x86-64-v3). Compiled with its own -march; nothing but the table of function
// pointers may be called from here, and no header with inline functions of ours may be included.
#define Eigen Eigen_bw_v3
#define BW_GEMM_TABLE gemmTable_v3
#include "core/compute/gemm_isa.inl"
