#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// Rows on their symmetric grids of 8 bits, the scale a 127th of the largest magnitude: codes, four to a word, with the scales; or
// the rounded values in place. A workgroup takes a row. What is not finite makes a row NaN. Quotients of a device may be some units
// in the last place off; scales and codes are made as if they were rounded right, which they are on the CPU.
layout(local_size_x = 64) in;
layout(constant_id = 0) const uint kRoundsInPlace = 0;
layout(std430, binding = 0) buffer X { float x[]; };
layout(std430, binding = 1) writeonly buffer Codes { uint codes[]; };  // rows of whole words
layout(std430, binding = 2) writeonly buffer Scales { float scales[]; };

layout(push_constant) uniform Shape {
    uint rows, cols;
    uint xAt, xStride;
};

const float kTop = 127.0;
// Relative: two and a half units in the last place are what a device may be off, half a one the CPU.
const float kDoubt = 4e-7;
shared float largest[64];
shared uint odd[64];

// a with its lower 12 bits of mantissa cleared: products with whole and half numbers below 128 are exact, and so are those of the rest.
float upperPart(float a) { return uintBitsToFloat(floatBitsToUint(a) & 0xFFFFF000u); }

float scaleOf(float most) {
    const float near = most / kTop, upper = upperPart(near);
    precise const float left = most - kTop * upper;
    precise const float rest = left - kTop * (near - upper);
    precise const float scale = near + rest / kTop;
    return scale;
}

int codeOf(float value, float scale) {
    const float magnitude = abs(value), quotient = min(magnitude / scale, kTop);
    float code = roundEven(quotient);
    precise const float fromMiddle = abs(abs(quotient - code) - 0.5);
    if (fromMiddle <= kDoubt * max(1.0, quotient)) {
        // Is the quotient above, at or below the middle once it is rounded? Its rounding reaches half a place in the last.
        const float middle = floor(quotient) + 0.5, upper = upperPart(scale);
        precise const float left = magnitude - middle * upper;
        precise const float rest = left - middle * (scale - upper);
        const float reach = uintBitsToFloat((floatBitsToUint(middle) & 0x7F800000u) - (24u << 23)) * scale;
        const float below = middle == 0.5 ? 0.25 * reach : reach; // places are half as wide below a power of two
        if (rest > reach) code = middle + 0.5;
        else if (rest < -below) code = middle - 0.5;
        else code = roundEven(middle);
    }
    return value < 0.0 ? -int(code) : int(code);
}

void main() {
    const uint lane = gl_LocalInvocationID.x, words = (cols + 3) / 4;
    for (uint row = gl_WorkGroupID.x; row < rows; row += gl_NumWorkGroups.x) {
        const uint from = xAt + row * xStride;
        float most = 0.0;
        uint unusual = 0;
        for (uint c = lane; c < cols; c += 64) {
            const float value = x[from + c];
            if ((floatBitsToUint(value) & 0x7F800000u) == 0x7F800000u) unusual = 1;
            else most = max(most, abs(value));
        }
        barrier(); // the last row's have been read
        largest[lane] = most;
        odd[lane] = unusual;
        barrier();
        for (uint step = 32; step > 0; step >>= 1) {
            if (lane < step) {
                largest[lane] = max(largest[lane], largest[lane + step]);
                odd[lane] |= odd[lane + step];
            }
            barrier();
        }
        const float scale = scaleOf(largest[0]), known = odd[0] != 0 ? uintBitsToFloat(0x7FC00000u) : scale;
        for (uint word = lane; word < words; word += 64) {
            uint packed = 0;
            for (uint i = 0; i < 4; ++i) {
                const uint c = word * 4 + i;
                if (c >= cols) break;
                const int code = scale > 0.0 ? codeOf(odd[0] != 0 ? 0.0 : x[from + c], scale) : 0;
                if (kRoundsInPlace != 0) x[from + c] = known * float(code);
                else packed |= uint(code & 0xFF) << (i * 8);
            }
            if (kRoundsInPlace == 0) codes[row * words + word] = packed;
        }
        if (kRoundsInPlace == 0 && lane == 0) scales[row] = known;
    }
}
