#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// Rounds rows of a weight to grids whose scales are known, four neighbouring codes to a word, and adds up what is lost. A workgroup
// takes a row. Sums and products are rounded as on the CPU; a quotient may be a few units in the last place off, so that a row
// with one so near the middle of two codes that this could matter is reported, and left to the CPU.
layout(local_size_x = 64) in;
layout(constant_id = 0) const uint kRule = 0; // RoundingGrid::Rule
layout(std430, binding = 0) readonly buffer W { float w[]; };
layout(std430, binding = 1) readonly buffer Cells { vec4 cells[]; }; // scale, inverse, zero
layout(std430, binding = 2) writeonly buffer Codes { uint codes[]; }; // rows of whole words
layout(std430, binding = 3) writeonly buffer Lost { uint lost[]; };   // per row: Σ (w − ŵ)², whether it is in doubt

layout(push_constant) uniform Shape {
    uint rows, cols, row0; // row0: the first row's number in the weight
    uint cellRows, cellCols, cellsPerRow;
    float lowest, highest;
    uint mantissaBits, signShift; // of small floats
    int least, raise;             // bits of the least normal exponent; of the factor 2^(23−M)
    float largest;
};

shared float sums[64];
shared uint doubts[64];

struct Rounded {
    uint code;
    float value;
    bool doubt;
};

// Relative: three and a half units in the last place, of which a device may use 2.5 and the CPU half a one.
const float kDoubt = 4e-7;

Rounded toWhole(float x, vec4 cell) {
    if (!(cell.x > 0.0)) return Rounded(uint(cell.z), 0.0, false);
    const float quotient = clamp(x / cell.x, -512.0, 512.0), nearest = roundEven(quotient);
    precise const float rest = abs(quotient - nearest);
    const float code = clamp(nearest, lowest - cell.z, highest - cell.z);
    const bool doubt = abs(rest - 0.5) <= kDoubt * max(1.0, abs(quotient)) && abs(code) <= abs(quotient) + 1.0;
    return Rounded(uint(int(code) + int(cell.z)), code * cell.x, doubt);
}

Rounded toSmallFloat(float x, vec4 cell) {
    if (!(cell.x > 0.0)) return Rounded(0, 0.0, false);
    const float quotient = x / cell.x;
    const uint negative = floatBitsToUint(x) & 0x80000000u;
    const float magnitude = min(abs(quotient), largest);
    int exponent = floatBitsToInt(magnitude) & 0x7F800000;
    exponent = max(exponent, least);
    const float shift = intBitsToFloat(exponent + raise);
    precise const float sum = magnitude + shift;
    precise const float value = sum - shift;
    const int code = (floatBitsToInt(sum) - (exponent + raise)) + (((exponent - least) >> 23) << mantissaBits);
    // Half a step is 2^(exponent − M − 1).
    const float half_ = intBitsToFloat(exponent - (int(mantissaBits) + 1) * 0x800000);
    precise const float rest = abs(magnitude - value);
    const float power = intBitsToFloat(exponent);
    const bool doubt = abs(rest - half_) <= kDoubt * 2.0 * power;
    return Rounded(uint(code) | negative >> signShift, (negative != 0 ? -value : value) * cell.x, doubt);
}

Rounded addHalf(float x, vec4 cell) {
    precise const float product = x * cell.y;
    precise const float moved = product + 8.5;
    const uint code = uint(clamp(moved, 0.0, 15.0));
    return Rounded(code, cell.x * (float(code) - 8.0), false);
}

Rounded awayFromZero(float x, vec4 cell) {
    precise const float product = clamp(x * cell.y, -127.0, 127.0);
    const float whole = trunc(product);
    precise const float rest = product - whole;
    const int code = int(whole) + (rest >= 0.5 ? 1 : 0) - (rest <= -0.5 ? 1 : 0);
    return Rounded(uint(code) & 0xFFu, cell.x * float(code), false);
}

Rounded roundOne(float x, vec4 cell) {
    switch (kRule) {
    case 0: return toWhole(x, cell);
    case 1: return toSmallFloat(x, cell);
    case 2: return addHalf(x, cell);
    default: return awayFromZero(x, cell);
    }
}

void main() {
    const uint lane = gl_LocalInvocationID.x, words = (cols + 3) / 4;
    for (uint row = gl_WorkGroupID.x; row < rows; row += gl_NumWorkGroups.x) {
        const uint from = row * cols, cellRow = (row0 + row) / cellRows * cellsPerRow;
        float sum = 0.0;
        uint doubt = 0;
        for (uint word = lane; word < words; word += 64) {
            uint packed = 0;
            float four = 0.0;
            for (uint i = 0; i < 4; ++i) {
                const uint col = word * 4 + i;
                if (col >= cols) break;
                const float x = w[from + col];
                const Rounded made = roundOne(x, cells[cellRow + col / cellCols]);
                packed |= (made.code & 0xFFu) << (i * 8);
                precise const float e = x - made.value;
                four += e * e;
                if (made.doubt) doubt = 1;
            }
            codes[row * words + word] = packed;
            sum += four;
        }
        barrier(); // the last row's have been read
        sums[lane] = sum;
        doubts[lane] = doubt;
        barrier();
        for (uint step = 32; step > 0; step >>= 1) {
            if (lane < step) {
                sums[lane] += sums[lane + step];
                doubts[lane] |= doubts[lane + step];
            }
            barrier();
        }
        if (lane == 0) {
            lost[row * 2] = floatBitsToUint(sums[0]);
            lost[row * 2 + 1] = doubts[0];
        }
    }
}
