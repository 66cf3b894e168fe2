#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// The lower triangle of xᵀx for some rows of it. A workgroup of 16×16 threads makes a 64×64 tile, 4×4 values a thread, from
// slices of 16 tokens in shared memory (8 KB); tiles above the diagonal are left out.
layout(local_size_x = 16, local_size_y = 16) in;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) writeonly buffer G { float g[]; };

layout(push_constant) uniform Shape {
    uint tokens, channels;
    uint xAt, xStride;
    uint gAt, gStride, gRow0; // the binding's first row of the result
    uint colBegin;            // of this dispatch, a multiple of the tile
    uint rowBegin, rowEnd;    // rows of the result that this dispatch makes
};

const uint kTile = 64, kSlice = 16, kThreads = 16;
shared float left[kSlice][kTile + 1];
shared float right[kSlice][kTile + 1];

void storeFour(uint row, uint firstCol, vec4 sum) {
    if (row >= rowEnd) return;
    for (uint j = 0; j < 4; ++j) {
        const uint col = firstCol + j * kThreads;
        if (col < channels) g[gAt + (row - gRow0) * gStride + col] = sum[j];
    }
}

void main() {
    const uint row0 = rowBegin + gl_WorkGroupID.y * kTile, col0 = colBegin + gl_WorkGroupID.x * kTile;
    if (col0 > row0 + kTile - 1) return;
    const uint tx = gl_LocalInvocationID.x, ty = gl_LocalInvocationID.y;
    vec4 sum0 = vec4(0), sum1 = vec4(0), sum2 = vec4(0), sum3 = vec4(0);
    for (uint t0 = 0; t0 < tokens; t0 += kSlice) {
        for (uint part = 0; part < 4; ++part) {
            const uint line = tx + part * kThreads, t = t0 + ty;
            const uint from = xAt + t * xStride;
            left[ty][line] = t < tokens && row0 + line < rowEnd ? x[from + row0 + line] : 0.0;
            right[ty][line] = t < tokens && col0 + line < channels ? x[from + col0 + line] : 0.0;
        }
        barrier();
        for (uint t = 0; t < kSlice; ++t) {
            const vec4 b = vec4(right[t][tx], right[t][tx + kThreads], right[t][tx + 2 * kThreads], right[t][tx + 3 * kThreads]);
            sum0 += left[t][ty] * b;
            sum1 += left[t][ty + kThreads] * b;
            sum2 += left[t][ty + 2 * kThreads] * b;
            sum3 += left[t][ty + 3 * kThreads] * b;
        }
        barrier();
    }
    storeFour(row0 + ty, col0 + tx, sum0);
    storeFour(row0 + ty + kThreads, col0 + tx, sum1);
    storeFour(row0 + ty + 2 * kThreads, col0 + tx, sum2);
    storeFour(row0 + ty + 3 * kThreads, col0 + tx, sum3);
}
