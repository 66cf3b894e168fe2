#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// Rotates pairs (i, i+half) of every head in place by the angles of the row's position; a thread takes a pair.
layout(local_size_x = 64) in;
layout(std430, binding = 0) buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer Table { vec2 turn[]; }; // position × half: cosine, sine

layout(push_constant) uniform Shape {
    uint rows, heads, headDim, pairs; // pairs: half
    uint xAt, xStride, position0;
};

void main() {
    const uint all = rows * heads * pairs, step = gl_NumWorkGroups.x * 64;
    for (uint at = gl_GlobalInvocationID.x; at < all; at += step) {
        const uint i = at % pairs, head = at / pairs % heads, row = at / pairs / heads;
        const vec2 t = turn[(position0 + row) * pairs + i];
        const uint a = xAt + row * xStride + head * headDim + i, b = a + pairs;
        const float left = x[a], right = x[b];
        x[a] = left * t.x - right * t.y;
        x[b] = right * t.x + left * t.y;
    }
}
