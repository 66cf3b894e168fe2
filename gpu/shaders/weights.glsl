// SPDX-License-Identifier: GPL-3.0-or-later
// weightAt(row, k): element k of row `row` of a weight O×I in binding 1, in the storage type that the pipeline was made for.
// `depth` (I) is a push constant of whoever includes this. Rows of block types are whole blocks, one after the other.
layout(constant_id = 0) const uint kStored = 0; // as Stored in gemm.h
layout(std430, binding = 1) readonly buffer W { uint w[]; };

#ifdef SMALL_TYPES // 8- and 16-bit storage: one load in place of a word taken apart, with the same result
#extension GL_EXT_shader_8bit_storage : require
#extension GL_EXT_shader_16bit_storage : require
layout(std430, binding = 1) readonly buffer W8 { uint8_t w8[]; };
layout(std430, binding = 1) readonly buffer W16 { float16_t w16[]; };
layout(std430, binding = 1) readonly buffer S8 { int8_t s8[]; };
layout(std430, binding = 1) readonly buffer U16 { uint16_t u16[]; };
uint byteAt(uint at) { return uint(w8[at]); }
int signedByteAt(uint at) { return int(s8[at]); }
float halfAt(uint at) { return float(w16[at >> 1]); } // halves stand at even bytes in all blocks
float f16At(uint at) { return float(w16[at]); }
float bf16At(uint at) { return uintBitsToFloat(uint(u16[at]) << 16); }
#else
uint byteAt(uint at) { return (w[at >> 2] >> ((at & 3u) * 8u)) & 0xFFu; }
int signedByteAt(uint at) { return int(byteAt(at) << 24) >> 24; }
uint halfBitsAt(uint at) { return w[at >> 2] >> ((at & 2u) * 8u) & 0xFFFFu; } // halves stand at even bytes in all blocks
float halfAt(uint at) { return unpackHalf2x16(halfBitsAt(at)).x; }
float f16At(uint at) { return unpackHalf2x16(w[at >> 1])[at & 1u]; }
float bf16At(uint at) { return uintBitsToFloat(((at & 1u) == 0u ? w[at >> 1] << 16 : w[at >> 1] & 0xFFFF0000u)); }
#endif

float q4_0At(uint row, uint k) {
    const uint block = (row * (depth >> 5) + (k >> 5)) * 18u, i = k & 31u;
    const uint both = byteAt(block + 2u + (i & 15u));
    return halfAt(block) * float(int(i < 16u ? both & 15u : both >> 4) - 8);
}

float q8_0At(uint row, uint k) {
    const uint block = (row * (depth >> 5) + (k >> 5)) * 34u;
    return halfAt(block) * float(signedByteAt(block + 2u + (k & 31u)));
}

float q4_kAt(uint row, uint k) {
    const uint block = (row * (depth >> 8) + (k >> 8)) * 144u, i = k & 255u, group = i >> 5;
    const uint scales = block + 4u;
    uint scale, minimum; // six bits each: the first four groups whole, the others in two parts
    if (group < 4u) {
        scale = byteAt(scales + group) & 63u;
        minimum = byteAt(scales + group + 4u) & 63u;
    } else {
        const uint low = byteAt(scales + group + 4u);
        scale = (low & 15u) | (byteAt(scales + group - 4u) >> 6) << 4;
        minimum = (low >> 4) | (byteAt(scales + group) >> 6) << 4;
    }
    const uint both = byteAt(block + 16u + (group >> 1) * 32u + (i & 31u));
    const uint code = (group & 1u) == 0u ? both & 15u : both >> 4;
    return halfAt(block) * float(scale) * float(code) - halfAt(block + 2u) * float(minimum);
}

float q6_kAt(uint row, uint k) {
    const uint block = (row * (depth >> 8) + (k >> 8)) * 210u, i = k & 255u;
    const uint part = i >> 7, inner = i & 127u, quarter = inner >> 5, lane = inner & 31u;
    const uint low = byteAt(block + part * 64u + (quarter & 1u) * 32u + lane);
    const uint high = byteAt(block + 128u + part * 32u + lane) >> (quarter * 2u) & 3u;
    const int code = int((quarter < 2u ? low & 15u : low >> 4) | high << 4) - 32;
    return halfAt(block + 208u) * float(signedByteAt(block + 192u + (i >> 4))) * float(code);
}

// Words of a row: the group's length, a pair for each group, codes of `bits` bits.
float codedAt(uint row, uint k, uint bits) {
    const uint group = w[0], groups = depth / group, perWord = 32u / bits;
    const uint first = row * (1u + 2u * groups + (depth + perWord - 1u) / perWord) + 1u, pair = first + 2u * (k / group);
    const uint code = w[first + 2u * groups + k / perWord] >> (k % perWord * bits) & ((1u << bits) - 1u);
    return uintBitsToFloat(w[pair]) * (float(code) - uintBitsToFloat(w[pair + 1u]));
}

float weightAt(uint row, uint k) {
    const uint at = row * depth + k;
    switch (kStored) {
    case 1: return f16At(at);
    case 2: return bf16At(at);
    case 3: return q4_0At(row, k);
    case 4: return q8_0At(row, k);
    case 5: return q4_kAt(row, k);
    case 6: return q6_kAt(row, k);
    case 7: return codedAt(row, k, 4u);
    case 8: return codedAt(row, k, 8u);
    default: return uintBitsToFloat(w[at]);
    }
}
