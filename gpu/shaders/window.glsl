// SPDX-License-Identifier: GPL-3.0-or-later
// What both products y = x·wᵀ are told: which rows and columns of y this dispatch makes, and where x and y lie.
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 2) buffer Y { float y[]; };

layout(push_constant) uniform Window {
    uint rowBegin, rowEnd; // rows of x and y
    uint outBegin, outEnd; // rows of w in this binding
    uint outOffset;        // column of y that w's row 0 makes
    uint depth;            // I
    uint xAt, xStride;
    uint yAt, yStride;
    uint accumulate;       // 1: y +=
};

void store(uint row, uint outRow, float sum) {
    if (row >= rowEnd || outRow >= outEnd) return;
    const uint at = yAt + row * yStride + outOffset + outRow;
    y[at] = accumulate == 1 ? y[at] + sum : sum;
}
