#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// y = x·wᵀ or y += x·wᵀ of rows coded in 8 bits (bytes.comp) and of a weight coded in 8 bits: sums of products of codes are exact,
// for each group of inputs, and then scaled. A workgroup of 16×16 threads makes a 64×64 tile of y, 4×4 values a thread; codes pass
// through shared memory. With DOT_PRODUCT four products are one instruction; without, codes are multiplied as floats, whose sums
// of up to 1,024 products are whole numbers below 2^24 and so exact as well.
layout(local_size_x = 16, local_size_y = 16) in;
layout(std430, binding = 0) readonly buffer X { uint x[]; };       // rows of ⌈depth/4⌉ words
layout(std430, binding = 1) readonly buffer W { uint w[]; };       // WeightStorage::int8 with zero points of 128
layout(std430, binding = 2) buffer Y { float y[]; };
layout(std430, binding = 3) readonly buffer Scales { float scales[]; }; // of the rows of x

layout(push_constant) uniform Window {
    uint rowBegin, rowEnd; // rows of x and y
    uint outBegin, outEnd; // rows of w in this binding
    uint outOffset;        // column of y that w's row 0 makes
    uint depth;            // I
    uint yAt, yStride;
    uint accumulate;       // 1: y +=
};

const uint kTile = 64, kThreads = 16;
#ifdef DOT_PRODUCT
#extension GL_EXT_spirv_intrinsics : require
// OpSDotKHR of four signed bytes in a word (format 0); capabilities DotProductInput4x8BitPacked and DotProduct.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6018, 6019], id = 4450) int signedDot(int a, int b, spirv_literal int format);
#define CODES int
const uint kSlice = 16;
int codesOf(uint word) { return int(word); }
ivec4 products(int a, int b0, int b1, int b2, int b3) { return ivec4(signedDot(a, b0, 0), signedDot(a, b1, 0), signedDot(a, b2, 0), signedDot(a, b3, 0)); }
#define SUMS ivec4
#else
#define CODES vec4
const uint kSlice = 4;
vec4 codesOf(uint word) { return vec4(ivec4(word << 24, word << 16, word << 8, word) >> 24); }
vec4 products(vec4 a, vec4 b0, vec4 b1, vec4 b2, vec4 b3) { return vec4(dot(a, b0), dot(a, b1), dot(a, b2), dot(a, b3)); }
#define SUMS vec4
#endif
const uint kRun = 256; // words that are summed before they are turned into integers
// One more a row keeps threads of a column out of one memory bank.
shared CODES xs[kSlice][kTile + 1];
shared CODES ws[kSlice][kTile + 1];

uint scaleAt(uint row, uint group, uint rowWords) { return row * rowWords + 1 + 2 * group; }

void store(uint row, uint firstOut, vec4 sum) {
    if (row >= rowEnd) return;
    for (uint j = 0; j < 4; ++j) {
        const uint out_ = firstOut + j * kThreads, at = yAt + row * yStride + outOffset + out_;
        if (out_ < outEnd) y[at] = accumulate == 1 ? y[at] + sum[j] : sum[j];
    }
}

void main() {
    const uint row0 = rowBegin + gl_WorkGroupID.y * kTile, out0 = outBegin + gl_WorkGroupID.x * kTile;
    const uint tx = gl_LocalInvocationID.x, ty = gl_LocalInvocationID.y;
    const uint words = (depth + 3) / 4, group = w[0], groups = depth / group, groupWords = (group + 3) / 4, rowWords = 1 + 2 * groups + words;
    // Vectors by name, not an array: some compilers keep indexed arrays in memory.
    vec4 all0 = vec4(0), all1 = vec4(0), all2 = vec4(0), all3 = vec4(0);
    vec4 rowScales;
    for (uint i = 0; i < 4; ++i) rowScales[i] = scales[min(row0 + ty + i * kThreads, rowEnd - 1)];

    for (uint g = 0; g < groups; ++g) {
        ivec4 whole0 = ivec4(0), whole1 = ivec4(0), whole2 = ivec4(0), whole3 = ivec4(0);
        for (uint run = g * groupWords, groupEnd = run + groupWords; run < groupEnd; run += kRun) {
            const uint runEnd = min(run + kRun, groupEnd);
            SUMS sum0 = SUMS(0), sum1 = SUMS(0), sum2 = SUMS(0), sum3 = SUMS(0);
            for (uint k0 = run; k0 < runEnd; k0 += kSlice) {
                for (uint at = ty * kThreads + tx; at < kSlice * kTile; at += kThreads * kThreads) {
                    const uint line = at / kSlice, k = k0 + at % kSlice;
                    const bool inside = k < runEnd;
                    xs[at % kSlice][line] = codesOf(inside && row0 + line < rowEnd ? x[(row0 + line) * words + k] : 0u);
                    ws[at % kSlice][line] = codesOf(inside && out0 + line < outEnd ? w[scaleAt(out0 + line, groups, rowWords) + k] ^ 0x80808080u : 0u);
                }
                barrier();
                for (uint k = 0; k < kSlice; ++k) {
                    const CODES b0 = ws[k][tx], b1 = ws[k][tx + kThreads], b2 = ws[k][tx + 2 * kThreads], b3 = ws[k][tx + 3 * kThreads];
                    sum0 += products(xs[k][ty], b0, b1, b2, b3);
                    sum1 += products(xs[k][ty + kThreads], b0, b1, b2, b3);
                    sum2 += products(xs[k][ty + 2 * kThreads], b0, b1, b2, b3);
                    sum3 += products(xs[k][ty + 3 * kThreads], b0, b1, b2, b3);
                }
                barrier();
            }
            whole0 += ivec4(sum0);
            whole1 += ivec4(sum1);
            whole2 += ivec4(sum2);
            whole3 += ivec4(sum3);
        }
        vec4 outScales;
        for (uint j = 0; j < 4; ++j) outScales[j] = uintBitsToFloat(w[scaleAt(min(out0 + tx + j * kThreads, outEnd - 1), g, rowWords)]);
        all0 += vec4(whole0) * (rowScales[0] * outScales);
        all1 += vec4(whole1) * (rowScales[1] * outScales);
        all2 += vec4(whole2) * (rowScales[2] * outScales);
        all3 += vec4(whole3) * (rowScales[3] * outScales);
    }
    store(row0 + ty, out0 + tx, all0);
    store(row0 + ty + kThreads, out0 + tx, all1);
    store(row0 + ty + 2 * kThreads, out0 + tx, all2);
    store(row0 + ty + 3 * kThreads, out0 + tx, all3);
}
