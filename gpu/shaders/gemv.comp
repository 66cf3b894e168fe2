#version 450
#extension GL_GOOGLE_include_directive : require
// SPDX-License-Identifier: GPL-3.0-or-later
// The same product as gemm.comp for at most eight rows of x, as a generation has them: what it takes is reading the weight once.
// A workgroup makes four columns of y; its 64 threads share the depth, so that neighbours read neighbouring weights.
layout(local_size_x = 64) in;
#include "window.glsl"
#include "weights.glsl"

const uint kOuts = 4, kRows = 8, kThreads = 64;
shared float partial[kOuts * kRows][kThreads + 1];
shared float halves[kThreads];

void main() {
    const uint lane = gl_LocalInvocationID.x, out0 = outBegin + gl_WorkGroupID.x * kOuts, last = outEnd - 1;
    const uint o0 = min(out0, last), o1 = min(out0 + 1, last), o2 = min(out0 + 2, last), o3 = min(out0 + 3, last);
    const uint count = rowEnd - rowBegin;
    // Vectors by name, not an array: some compilers keep indexed arrays in memory. Component: the column of y.
    vec4 sum0 = vec4(0), sum1 = vec4(0), sum2 = vec4(0), sum3 = vec4(0), sum4 = vec4(0), sum5 = vec4(0), sum6 = vec4(0), sum7 = vec4(0);
    for (uint k = lane; k < depth; k += kThreads) {
        const vec4 w4 = vec4(weightAt(o0, k), weightAt(o1, k), weightAt(o2, k), weightAt(o3, k));
        const uint at = xAt + rowBegin * xStride + k;
        sum0 += x[at] * w4;
        if (count > 1) sum1 += x[at + xStride] * w4;
        if (count > 2) sum2 += x[at + 2 * xStride] * w4;
        if (count > 3) sum3 += x[at + 3 * xStride] * w4;
        if (count > 4) sum4 += x[at + 4 * xStride] * w4;
        if (count > 5) sum5 += x[at + 5 * xStride] * w4;
        if (count > 6) sum6 += x[at + 6 * xStride] * w4;
        if (count > 7) sum7 += x[at + 7 * xStride] * w4;
    }
    for (uint i = 0; i < kOuts; ++i) {
        partial[i][lane] = sum0[i];
        partial[kOuts + i][lane] = sum1[i];
        partial[2 * kOuts + i][lane] = sum2[i];
        partial[3 * kOuts + i][lane] = sum3[i];
        partial[4 * kOuts + i][lane] = sum4[i];
        partial[5 * kOuts + i][lane] = sum5[i];
        partial[6 * kOuts + i][lane] = sum6[i];
        partial[7 * kOuts + i][lane] = sum7[i];
    }
    barrier();
    // Two threads add up each of the 32 sums.
    float all = 0.0;
    for (uint i = 0; i < kThreads / 2; ++i) all += partial[lane / 2][lane % 2 * (kThreads / 2) + i];
    halves[lane] = all;
    barrier();
    if (lane % 2 == 0) store(rowBegin + lane / 2 / kOuts, out0 + lane / 2 % kOuts, all + halves[lane + 1]);
}
