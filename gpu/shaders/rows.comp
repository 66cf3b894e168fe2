#version 450
#extension GL_GOOGLE_include_directive : require
// SPDX-License-Identifier: GPL-3.0-or-later
// y[t] = row ids[t] of a weight, decoded, as far as the rows lie in this binding: an embedding looked up where it is multiplied with.
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer Ids { uint ids[]; };
layout(std430, binding = 2) writeonly buffer Y { float y[]; };

layout(push_constant) uniform Shape {
    uint rows, depth; // of y
    uint firstRow, rowsHere; // of the weight, in this binding
    uint yAt, yStride;
    uint row0; // of ids
};
#include "weights.glsl"

void main() {
    for (uint row = gl_WorkGroupID.y; row < rows; row += gl_NumWorkGroups.y) {
        const uint id = ids[row0 + row];
        if (id < firstRow || id - firstRow >= rowsHere) continue;
        for (uint c = gl_GlobalInvocationID.x; c < depth; c += gl_NumWorkGroups.x * 64) y[yAt + row * yStride + c] = weightAt(id - firstRow, c);
    }
}
