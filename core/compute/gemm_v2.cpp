// SPDX-License-Identifier: GPL-3.0-or-later
// The GEMM kernels for SSE4.2 (x86-64-v2), and the only variant on other processors. Compiled with its own -march;
// nothing but the table of function pointers may be called from here, and no header with inline functions of ours may
// be included.
#define Eigen Eigen_bw_v2
#define BW_GEMM_TABLE gemmTable_v2
#include "core/compute/gemm_isa.inl"
