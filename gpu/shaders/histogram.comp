#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// Counts of values over `bins` equal bins of [low, high), and behind them: below, above, NaN, infinite. Each workgroup
// counts in shared memory and adds its counts to the buffer once. The bin is floor((v − low)·scale), at most the last,
// with subtraction and multiplication rounded apart, exactly as the CPU does it. Comparisons are made on bits: a
// compiler may take NaN and infinity for impossible, and a device may flush subnormal numbers to zero.
layout(local_size_x = 256) in;

layout(std430, binding = 0) readonly buffer X { uint x[]; }; // bits of f32
layout(std430, binding = 1) buffer Counts { uint counts[]; };

layout(push_constant) uniform Range {
    uint first;           // of x's values
    uint count;           // how many of them
    uint stride;          // threads in the dispatch
    uint bins;
    uint lowKey, highKey; // low and high as orderKey gives them
    float low, scale;
};

const uint kMost = 4096; // 16 KB: what every Vulkan device has as shared memory
shared uint local[kMost];

// Unsigned numbers in the order of the floats they stand for; both zeros are equal.
uint orderKey(uint bits) {
    if ((bits & 0x7FFFFFFFu) == 0) bits = 0;
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

uint slotOf(uint bits) {
    const uint magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) return bins + 2;
    if (magnitude == 0x7F800000u) return bins + 3;
    const uint key = orderKey(bits);
    if (key < lowKey) return bins;
    if (key >= highKey) return bins + 1;
    precise float distance = uintBitsToFloat(bits) - low;
    precise float position = distance * scale;
    return min(uint(position), bins - 1);
}

void main() {
    for (uint i = gl_LocalInvocationID.x; i < bins + 4; i += 256) local[i] = 0;
    barrier();
    for (uint i = gl_GlobalInvocationID.x; i < count; i += stride) atomicAdd(local[slotOf(x[first + i])], 1);
    barrier();
    for (uint i = gl_LocalInvocationID.x; i < bins + 4; i += 256)
        if (local[i] != 0) atomicAdd(counts[i], local[i]);
}
