#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// Causal grouped-query attention with online softmax: no scores in memory. A workgroup takes eight queries of a head and
// goes over the keys in runs of 64. In the first half of a run a thread makes the scores of one key, in the second it adds
// values of its channels (every 64th, four at most: heads of up to 256 channels).
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer Q { float q[]; };
layout(std430, binding = 1) readonly buffer K { float k[]; };
layout(std430, binding = 2) readonly buffer V { float v[]; };
layout(std430, binding = 3) buffer O { float o[]; };

layout(push_constant) uniform Shape {
    uint tokens, firstQuery, position0;
    uint headsPerKv, headDim;
    uint window; // 0: all keys
    float scale, softCap;
    uint firstHead;
    uint qAt, qStride, kAt, kStride, vAt, vStride, oAt, oStride;
};

const uint kQueries = 8, kRun = 64;
const float kNothing = -3.0e38;
shared vec4 queries[256 * 2]; // channel × query
shared float weights[kQueries][kRun];
shared float partial[kRun];
shared float peak[kQueries], total[kQueries], shrink[kQueries];

float tanhOf(float x) {
    const float e = exp(-2.0 * min(abs(x), 20.0));
    return sign(x) * (1.0 - e) / (1.0 + e);
}

bool sees(uint query, uint key) {
    const uint position = position0 + query;
    return query < tokens && key <= position && (window == 0 || key + window > position);
}

float scoreOf(float dotted) {
    const float s = dotted * scale;
    return softCap > 0.0 ? softCap * tanhOf(s / softCap) : s;
}

void main() {
    const uint lane = gl_LocalInvocationID.x, head = firstHead + gl_WorkGroupID.y;
    const uint first = firstQuery + gl_WorkGroupID.x * kQueries;
    const uint kvColumn = head / headsPerKv * headDim;
    for (uint i = lane; i < headDim * kQueries; i += kRun) {
        const uint query = i % kQueries, channel = i / kQueries, row = min(first + query, tokens - 1);
        queries[channel * 2 + query / 4][query % 4] = q[qAt + row * qStride + head * headDim + channel];
    }
    if (lane < kQueries) {
        peak[lane] = kNothing;
        total[lane] = 0.0;
    }
    const uint last = position0 + min(first + kQueries, tokens) - 1;
    const uint here = position0 + first;
    const uint oldest = window > 0 && here + 1 > window ? here + 1 - window : 0;
    // Query by query: vectors by name, since some compilers keep indexed arrays in memory. Component c: channel lane + 64c.
    vec4 sum0 = vec4(0), sum1 = vec4(0), sum2 = vec4(0), sum3 = vec4(0);
    vec4 sum4 = vec4(0), sum5 = vec4(0), sum6 = vec4(0), sum7 = vec4(0);
    const uint mine = lane / 8, part = lane % 8 * 8; // of the softmax: a query and eight of its keys
    barrier();

    for (uint run = oldest; run <= last; run += kRun) {
        const uint key = run + lane;
        vec4 low = vec4(0), high = vec4(0);
        if (key <= last) {
            const uint from = kAt + key * kStride + kvColumn;
            for (uint c = 0; c < headDim; ++c) {
                const float value = k[from + c];
                low += value * queries[c * 2];
                high += value * queries[c * 2 + 1];
            }
        }
        for (uint i = 0; i < 4; ++i) {
            weights[i][lane] = sees(first + i, key) ? scoreOf(low[i]) : kNothing;
            weights[i + 4][lane] = sees(first + i + 4, key) ? scoreOf(high[i]) : kNothing;
        }
        barrier();
        float top = kNothing;
        for (uint j = 0; j < 8; ++j) top = max(top, weights[mine][part + j]);
        partial[lane] = top;
        barrier();
        float newPeak = peak[mine];
        for (uint j = 0; j < 8; ++j) newPeak = max(newPeak, partial[mine * 8 + j]);
        barrier();
        float sum = 0.0;
        for (uint j = 0; j < 8; ++j) {
            const float s = weights[mine][part + j];
            const float weight = s > kNothing ? exp(s - newPeak) : 0.0;
            weights[mine][part + j] = weight;
            sum += weight;
        }
        partial[lane] = sum;
        if (part == 0) shrink[mine] = peak[mine] > kNothing ? exp(peak[mine] - newPeak) : 0.0;
        barrier();
        if (part == 0) {
            float all = total[mine] * shrink[mine];
            for (uint j = 0; j < 8; ++j) all += partial[lane + j];
            total[mine] = all;
            peak[mine] = newPeak;
        }
        sum0 *= shrink[0]; sum1 *= shrink[1]; sum2 *= shrink[2]; sum3 *= shrink[3];
        sum4 *= shrink[4]; sum5 *= shrink[5]; sum6 *= shrink[6]; sum7 *= shrink[7];
        const uint keys = min(kRun, last - run + 1);
        for (uint j = 0; j < keys; ++j) {
            const uint from = vAt + (run + j) * vStride + kvColumn;
            vec4 value = vec4(0);
            for (uint c = 0; c < 4; ++c)
                if (lane + c * kRun < headDim) value[c] = v[from + lane + c * kRun];
            sum0 += weights[0][j] * value; sum1 += weights[1][j] * value;
            sum2 += weights[2][j] * value; sum3 += weights[3][j] * value;
            sum4 += weights[4][j] * value; sum5 += weights[5][j] * value;
            sum6 += weights[6][j] * value; sum7 += weights[7][j] * value;
        }
        barrier();
    }

    for (uint i = 0; i < kQueries; ++i) {
        if (first + i >= tokens) return;
        const vec4 sum = i == 0 ? sum0 : i == 1 ? sum1 : i == 2 ? sum2 : i == 3 ? sum3
                       : i == 4 ? sum4 : i == 5 ? sum5 : i == 6 ? sum6 : sum7;
        for (uint c = 0; c < 4; ++c)
            if (lane + c * kRun < headDim) o[oAt + (first + i) * oStride + head * headDim + lane + c * kRun] = sum[c] / total[i];
    }
}
