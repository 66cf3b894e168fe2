#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// y = x·wᵀ or y += x·wᵀ for a window of y. x T×I, w O×I (rows of one binding), y rows of `yStride` floats.
// A workgroup of 16×16 threads makes a 64×64 tile of y, 4×4 values a thread; x and w pass through shared memory in
// slices of 16 columns (8 KB), so that each value is read once a tile. Edges are filled with zeros and not written.
layout(local_size_x = 16, local_size_y = 16) in;

layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer W { float w[]; };
layout(std430, binding = 2) buffer Y { float y[]; };

layout(push_constant) uniform Window {
    uint rowBegin, rowEnd; // rows of x and y
    uint outBegin, outEnd; // rows of w in this binding
    uint outOffset;        // column of y that w's row 0 makes
    uint depth;            // I
    uint yStride;
    uint accumulate;       // 1: y +=
};

const uint kTile = 64, kSlice = 16, kThreads = 16;
// One float of padding a row keeps threads of a column out of one memory bank.
shared float xs[kSlice][kTile + 1];
shared float ws[kSlice][kTile + 1];

void main() {
    const uint row0 = rowBegin + gl_WorkGroupID.y * kTile;
    const uint out0 = outBegin + gl_WorkGroupID.x * kTile;
    const uint tx = gl_LocalInvocationID.x, ty = gl_LocalInvocationID.y;
    float sum[4][4];
    for (uint i = 0; i < 4; ++i)
        for (uint j = 0; j < 4; ++j) sum[i][j] = 0.0;

    for (uint k0 = 0; k0 < depth; k0 += kSlice) {
        for (uint part = 0; part < 4; ++part) {
            const uint line = ty + part * kThreads, k = k0 + tx;
            xs[tx][line] = row0 + line < rowEnd && k < depth ? x[(row0 + line) * depth + k] : 0.0;
            ws[tx][line] = out0 + line < outEnd && k < depth ? w[(out0 + line) * depth + k] : 0.0;
        }
        barrier();
        for (uint k = 0; k < kSlice; ++k) {
            float a[4], b[4];
            for (uint i = 0; i < 4; ++i) a[i] = xs[k][ty + i * kThreads];
            for (uint j = 0; j < 4; ++j) b[j] = ws[k][tx + j * kThreads];
            for (uint i = 0; i < 4; ++i)
                for (uint j = 0; j < 4; ++j) sum[i][j] += a[i] * b[j];
        }
        barrier();
    }

    for (uint i = 0; i < 4; ++i) {
        const uint row = row0 + ty + i * kThreads;
        if (row >= rowEnd) continue;
        for (uint j = 0; j < 4; ++j) {
            const uint outRow = out0 + tx + j * kThreads;
            if (outRow >= outEnd) continue;
            const uint at = row * yStride + outOffset + outRow;
            y[at] = accumulate == 1 ? y[at] + sum[i][j] : sum[i][j];
        }
    }
}
