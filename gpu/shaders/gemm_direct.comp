#version 450
#extension GL_GOOGLE_include_directive : require
// SPDX-License-Identifier: GPL-3.0-or-later
// The same product as gemm.comp over the same 64×64 tiles, for devices that run on the processor: 8×8 threads make 8×8
// values each in registers, without shared memory and barriers, which cost most there. Rows past the edge are read from
// the last row and not written.
layout(local_size_x = 8, local_size_y = 8) in;
#include "window.glsl"
#include "weights.glsl"

void storeFour(uint row, uint firstOut, vec4 sum) {
    for (uint j = 0; j < 4; ++j) store(row, firstOut + j, sum[j]);
}

void main() {
    const uint row = rowBegin + gl_WorkGroupID.y * 64 + gl_LocalInvocationID.y * 8;
    const uint firstOut = outBegin + gl_WorkGroupID.x * 64 + gl_LocalInvocationID.x * 8;
    if (row >= rowEnd || firstOut >= outEnd) return;
    const uint x0 = xAt + min(row + 0, rowEnd - 1) * xStride, w0 = min(firstOut + 0, outEnd - 1);
    const uint x1 = xAt + min(row + 1, rowEnd - 1) * xStride, w1 = min(firstOut + 1, outEnd - 1);
    const uint x2 = xAt + min(row + 2, rowEnd - 1) * xStride, w2 = min(firstOut + 2, outEnd - 1);
    const uint x3 = xAt + min(row + 3, rowEnd - 1) * xStride, w3 = min(firstOut + 3, outEnd - 1);
    const uint x4 = xAt + min(row + 4, rowEnd - 1) * xStride, w4 = min(firstOut + 4, outEnd - 1);
    const uint x5 = xAt + min(row + 5, rowEnd - 1) * xStride, w5 = min(firstOut + 5, outEnd - 1);
    const uint x6 = xAt + min(row + 6, rowEnd - 1) * xStride, w6 = min(firstOut + 6, outEnd - 1);
    const uint x7 = xAt + min(row + 7, rowEnd - 1) * xStride, w7 = min(firstOut + 7, outEnd - 1);
    // Vectors by name, not an array: some compilers keep indexed arrays in memory.
    vec4 low0 = vec4(0), high0 = vec4(0);
    vec4 low1 = vec4(0), high1 = vec4(0);
    vec4 low2 = vec4(0), high2 = vec4(0);
    vec4 low3 = vec4(0), high3 = vec4(0);
    vec4 low4 = vec4(0), high4 = vec4(0);
    vec4 low5 = vec4(0), high5 = vec4(0);
    vec4 low6 = vec4(0), high6 = vec4(0);
    vec4 low7 = vec4(0), high7 = vec4(0);
    for (uint k = 0; k < depth; ++k) {
        const vec4 b = vec4(weightAt(w0, k), weightAt(w1, k), weightAt(w2, k), weightAt(w3, k));
        const vec4 c = vec4(weightAt(w4, k), weightAt(w5, k), weightAt(w6, k), weightAt(w7, k));
        float a;
        a = x[x0 + k]; low0 += a * b; high0 += a * c;
        a = x[x1 + k]; low1 += a * b; high1 += a * c;
        a = x[x2 + k]; low2 += a * b; high2 += a * c;
        a = x[x3 + k]; low3 += a * b; high3 += a * c;
        a = x[x4 + k]; low4 += a * b; high4 += a * c;
        a = x[x5 + k]; low5 += a * b; high5 += a * c;
        a = x[x6 + k]; low6 += a * b; high6 += a * c;
        a = x[x7 + k]; low7 += a * b; high7 += a * c;
    }
    storeFour(row + 0, firstOut, low0);
    storeFour(row + 0, firstOut + 4, high0);
    storeFour(row + 1, firstOut, low1);
    storeFour(row + 1, firstOut + 4, high1);
    storeFour(row + 2, firstOut, low2);
    storeFour(row + 2, firstOut + 4, high2);
    storeFour(row + 3, firstOut, low3);
    storeFour(row + 3, firstOut + 4, high3);
    storeFour(row + 4, firstOut, low4);
    storeFour(row + 4, firstOut + 4, high4);
    storeFour(row + 5, firstOut, low5);
    storeFour(row + 5, firstOut + 4, high5);
    storeFour(row + 6, firstOut, low6);
    storeFour(row + 6, firstOut + 4, high6);
    storeFour(row + 7, firstOut, low7);
    storeFour(row + 7, firstOut + 4, high7);
}
