#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// Histograms of every channel of x in bins of an eighth of an octave. A workgroup takes eight neighbouring channels, which it
// counts in shared memory; 32 threads share the rows of each. Bins follow from the bits of a value: no rounding is involved.
layout(local_size_x = 8, local_size_y = 32) in;
layout(std430, binding = 0) readonly buffer X { uint x[]; };     // bits of f32
layout(std430, binding = 1) readonly buffer Least { int least[]; }; // per channel: (bits of |x|)/2²⁰ of its first bin
layout(std430, binding = 2) writeonly buffer Out { uint made[]; };

layout(push_constant) uniform Shape {
    uint rows, cols;
    uint xAt, xStride;
    uint firstGroup; // of eight channels
    uint side; // bins of one sign; a channel has 2·side + 1
};

const uint kMost = 2048; // as in observe.cpp
shared uint counts[kMost];

void main() {
    const uint lane = gl_LocalInvocationID.x, thread = gl_LocalInvocationIndex, bins = 2 * side + 1;
    const uint first = (firstGroup + gl_WorkGroupID.x) * 8, channel = first + lane;
    for (uint i = thread; i < 8 * bins; i += 256) counts[i] = 0;
    barrier();
    if (channel < cols) {
        const int lowest = least[channel];
        for (uint t = gl_LocalInvocationID.y; t < rows; t += 32) {
            const uint bits = x[xAt + t * xStride + channel], magnitude = bits & 0x7FFFFFFFu;
            const int bin = int(magnitude >> 20) - lowest;
            const bool small = bin < 0 || magnitude == 0;
            const uint at = small ? 2 * side : min(uint(bin), side - 1) + ((bits & 0x80000000u) != 0 ? side : 0);
            atomicAdd(counts[lane * bins + at], 1);
        }
    }
    barrier();
    for (uint i = thread; i < min(8u, cols - first) * bins; i += 256) made[first * bins + i] = counts[i];
}
