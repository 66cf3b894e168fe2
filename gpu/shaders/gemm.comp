#version 450
#extension GL_GOOGLE_include_directive : require
// SPDX-License-Identifier: GPL-3.0-or-later
// y = x·wᵀ or y += x·wᵀ for a window of y, for GPUs. A workgroup of 16×16 threads makes a 64×64 tile of y, 4×4 values a
// thread; x and w, decoded, pass through shared memory in slices of 16 columns (8 KB), so that each value is read once a
// tile. Edges are filled with zeros and not written.
layout(local_size_x = 16, local_size_y = 16) in;
#include "window.glsl"
#include "weights.glsl"

const uint kTile = 64, kSlice = 16, kThreads = 16;
// One float of padding a row keeps threads of a column out of one memory bank.
shared float xs[kSlice][kTile + 1];
shared float ws[kSlice][kTile + 1];

void storeFour(uint row, uint firstOut, vec4 sum) {
    for (uint j = 0; j < 4; ++j) store(row, firstOut + j * kThreads, sum[j]);
}

void main() {
    const uint row0 = rowBegin + gl_WorkGroupID.y * kTile;
    const uint out0 = outBegin + gl_WorkGroupID.x * kTile;
    const uint tx = gl_LocalInvocationID.x, ty = gl_LocalInvocationID.y;
    // Vectors by name, not an array: some compilers keep indexed arrays in memory.
    vec4 sum0 = vec4(0), sum1 = vec4(0), sum2 = vec4(0), sum3 = vec4(0);

    for (uint k0 = 0; k0 < depth; k0 += kSlice) {
        for (uint part = 0; part < 4; ++part) {
            const uint line = ty + part * kThreads, k = k0 + tx;
            xs[tx][line] = row0 + line < rowEnd && k < depth ? x[xAt + (row0 + line) * xStride + k] : 0.0;
            ws[tx][line] = out0 + line < outEnd && k < depth ? weightAt(out0 + line, k) : 0.0;
        }
        barrier();
        for (uint k = 0; k < kSlice; ++k) {
            const vec4 b = vec4(ws[k][tx], ws[k][tx + kThreads], ws[k][tx + 2 * kThreads], ws[k][tx + 3 * kThreads]);
            sum0 += xs[k][ty] * b;
            sum1 += xs[k][ty + kThreads] * b;
            sum2 += xs[k][ty + 2 * kThreads] * b;
            sum3 += xs[k][ty + 3 * kThreads] * b;
        }
        barrier();
    }

    storeFour(row0 + ty, out0 + tx, sum0);
    storeFour(row0 + ty + kThreads, out0 + tx, sum1);
    storeFour(row0 + ty + 2 * kThreads, out0 + tx, sum2);
    storeFour(row0 + ty + 3 * kThreads, out0 + tx, sum3);
}
