#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// For every row of x: its largest magnitude, Σ x², and Σ (x − x̂)² of x rounded to the symmetric grid of 8 bits that is as wide
// as that. A workgroup takes a row. Sums are of x times a power of two that brings the largest magnitude near 1.
layout(local_size_x = 128) in;
layout(std430, binding = 0) readonly buffer X { uint x[]; }; // bits of f32
layout(std430, binding = 1) writeonly buffer Out { uint made[]; }; // per row: bits of the largest magnitude, power, error

layout(push_constant) uniform Shape {
    uint rows, cols;
    uint xAt, xStride;
    uint row0; // of the results
};

const float kLevels = 127.0;
const uint kRun = 16;
shared uint largest[128];
shared vec2 partial[128];

void main() {
    const uint lane = gl_LocalInvocationID.x;
    for (uint row = gl_WorkGroupID.x; row < rows; row += gl_NumWorkGroups.x) {
        const uint from = xAt + row * xStride;
        uint top = 0;
        for (uint c = lane; c < cols; c += 128) {
            const uint magnitude = x[from + c] & 0x7FFFFFFFu;
            if (magnitude <= 0x7F800000u) top = max(top, magnitude);
        }
        barrier(); // the last row's sums have been read
        largest[lane] = top;
        barrier();
        for (uint step = 64; step > 0; step >>= 1) {
            if (lane < step) largest[lane] = max(largest[lane], largest[lane + step]);
            barrier();
        }
        top = largest[0];
        const float factor = uintBitsToFloat((254u - min(top >> 23, 253u)) << 23);
        const float scaled = uintBitsToFloat(top) * factor;
        precise const float grid = scaled / kLevels, inverse = kLevels / scaled;
        vec2 all = vec2(0.0);
        for (uint c = lane; c < cols; c += 128 * kRun) {
            vec2 run = vec2(0.0);
            for (uint i = 0; i < kRun && c + i * 128 < cols; ++i) {
                precise const float v = uintBitsToFloat(x[from + c + i * 128]) * factor;
                precise const float value = roundEven(v * inverse) * grid;
                precise const float rest = v - value;
                run += vec2(v * v, rest * rest);
            }
            all += run;
        }
        partial[lane] = all;
        barrier();
        for (uint step = 64; step > 0; step >>= 1) {
            if (lane < step) partial[lane] += partial[lane + step];
            barrier();
        }
        if (lane == 0) {
            made[(row0 + row) * 3] = top;
            made[(row0 + row) * 3 + 1] = floatBitsToUint(partial[0].x);
            made[(row0 + row) * 3 + 2] = floatBitsToUint(partial[0].y);
        }
    }
}
