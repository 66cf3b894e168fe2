#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// Values of a matrix at given columns, as many of each row; NaN for a column that there is not.
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer Columns { uint columns[]; };
layout(std430, binding = 2) writeonly buffer Out { float picked[]; };

layout(push_constant) uniform Shape {
    uint rows, cols;
    uint xAt, xStride;
    uint row0, each; // of columns and results; how many of a row
};

void main() {
    for (uint i = gl_GlobalInvocationID.x; i < rows * each; i += gl_NumWorkGroups.x * 64) {
        const uint at = row0 * each + i, column = columns[at];
        picked[at] = column < cols ? x[xAt + i / each * xStride + column] : uintBitsToFloat(0x7FC00000u);
    }
}
