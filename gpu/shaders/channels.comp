#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// For every channel of x: Σ x, |x|, x², x³, x⁴ and its extremes. A workgroup takes 32 neighbouring channels; eight threads share
// the rows of each. The sums are of x times a power of two that brings the largest magnitude near 1, so that no power of it
// over- or underflows, and made in runs; their order follows from the shape alone. Extremes are compared as bits: a device may
// flush subnormal numbers to zero, and a compiler may take NaN for impossible.
layout(local_size_x = 32, local_size_y = 8) in;
layout(std430, binding = 0) readonly buffer X { uint x[]; }; // bits of f32
layout(std430, binding = 1) writeonly buffer Out { uint made[]; }; // per channel: five sums, keys of least and largest, exponent of the factor

layout(push_constant) uniform Shape {
    uint rows, cols;
    uint xAt, xStride;
    uint firstGroup; // of 32 channels
};

const uint kShare = 8, kRun = 16, kWords = 8;
shared uint least[kShare][32];
shared uint most[kShare][32];
shared float sums[5][kShare][32];

// Unsigned numbers in the order of the floats they stand for; both zeros are equal.
uint orderKey(uint bits) {
    if ((bits & 0x7FFFFFFFu) == 0) bits = 0;
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

uint magnitudeOf(uint key) { return ((key & 0x80000000u) != 0 ? key : ~key) & 0x7FFFFFFFu; }

void main() {
    const uint lane = gl_LocalInvocationID.x, share = gl_LocalInvocationID.y;
    const uint channel = (firstGroup + gl_WorkGroupID.x) * 32 + lane;
    const bool inside = channel < cols;
    uint low = 0xFFFFFFFFu, high = 0;
    for (uint t = share; inside && t < rows; t += kShare) {
        const uint bits = x[xAt + t * xStride + channel];
        if ((bits & 0x7FFFFFFFu) > 0x7F800000u) continue;
        const uint key = orderKey(bits);
        low = min(low, key);
        high = max(high, key);
    }
    least[share][lane] = low;
    most[share][lane] = high;
    barrier();
    for (uint i = 0; i < kShare; ++i) {
        low = min(low, least[i][lane]);
        high = max(high, most[i][lane]);
    }
    const uint exponent = min(max(magnitudeOf(low), magnitudeOf(high)) >> 23, 253u);
    const float factor = uintBitsToFloat((254u - exponent) << 23);
    float all[5] = float[5](0.0, 0.0, 0.0, 0.0, 0.0);
    for (uint t = share; inside && t < rows; t += kShare * kRun) {
        float run[5] = float[5](0.0, 0.0, 0.0, 0.0, 0.0);
        for (uint i = 0; i < kRun && t + i * kShare < rows; ++i) {
            const float v = uintBitsToFloat(x[xAt + (t + i * kShare) * xStride + channel]) * factor, square = v * v;
            run[0] += v;
            run[1] += abs(v);
            run[2] += square;
            run[3] += square * v;
            run[4] += square * square;
        }
        for (uint n = 0; n < 5; ++n) all[n] += run[n];
    }
    for (uint n = 0; n < 5; ++n) sums[n][share][lane] = all[n];
    barrier();
    for (uint step = kShare / 2; step > 0; step >>= 1) {
        if (share < step)
            for (uint n = 0; n < 5; ++n) sums[n][share][lane] += sums[n][share + step][lane];
        barrier();
    }
    if (share == 0 && inside) {
        for (uint n = 0; n < 5; ++n) made[channel * kWords + n] = floatBitsToUint(sums[n][0][lane]);
        made[channel * kWords + 5] = low;
        made[channel * kWords + 6] = high;
        made[channel * kWords + 7] = exponent;
    }
}
