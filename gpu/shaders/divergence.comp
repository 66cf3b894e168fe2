#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// KL(softmax(a)‖softmax(b)) of rows of logits, as Σ P·(d − 1 + exp(−d)) with d = log P − log Q: no term is negative, so that
// nothing cancels where both are nearly alike, and rounded norms of P and Q shift it by their squares only. A workgroup takes
// a row; sums are made in runs, as in score.comp.
layout(local_size_x = 256) in;
layout(std430, binding = 0) readonly buffer A { float a[]; };
layout(std430, binding = 1) readonly buffer B { float b[]; };
layout(std430, binding = 2) writeonly buffer Out { float made[]; }; // one a row

layout(push_constant) uniform Shape {
    uint rows, cols;
    uint aAt, aStride, bAt, bStride;
    uint row0; // of the results
};

const uint kRun = 16;
const float kSmall = 0.5; // |d| below which the series is used: its next term is d⁹/9! < 1e-8 of the sum
shared vec2 partial[256];

// d − 1 + exp(−d) near 0.
float excess(float d) {
    return d * d * (1.0 / 2.0 - d * (1.0 / 6.0 - d * (1.0 / 24.0 - d * (1.0 / 120.0 - d * (1.0 / 720.0 - d * (1.0 / 5040.0 - d / 40320.0))))));
}

vec2 total(uint lane, vec2 value) {
    barrier();
    partial[lane] = value;
    barrier();
    for (uint step = 128; step > 0; step >>= 1) {
        if (lane < step) partial[lane] += partial[lane + step];
        barrier();
    }
    return partial[0];
}

void main() {
    const uint lane = gl_LocalInvocationID.x;
    for (uint row = gl_WorkGroupID.x; row < rows; row += gl_NumWorkGroups.x) {
        const uint left = aAt + row * aStride, right = bAt + row * bStride;
        vec2 peak = vec2(-3.4e38);
        for (uint c = lane; c < cols; c += 256) peak = max(peak, vec2(a[left + c], b[right + c]));
        barrier();
        partial[lane] = peak;
        barrier();
        for (uint step = 128; step > 0; step >>= 1) {
            if (lane < step) partial[lane] = max(partial[lane], partial[lane + step]);
            barrier();
        }
        peak = partial[0];
        vec2 sum = vec2(0.0);
        for (uint c = lane; c < cols; c += 256 * kRun) {
            vec2 run = vec2(0.0);
            for (uint i = 0; i < kRun && c + i * 256 < cols; ++i)
                run += exp(vec2(a[left + c + i * 256], b[right + c + i * 256]) - peak);
            sum += run;
        }
        const vec2 norm = log(total(lane, sum));
        float divergence = 0.0;
        for (uint c = lane; c < cols; c += 256 * kRun) {
            float run = 0.0;
            for (uint i = 0; i < kRun && c + i * 256 < cols; ++i) {
                const vec2 logs = vec2(a[left + c + i * 256], b[right + c + i * 256]) - peak - norm, p = exp(logs);
                const float d = logs.x - logs.y;
                if (abs(d) < kSmall) run += p.x * excess(d);
                else run += (p.x > 0.0 ? p.x * (d - 1.0) : 0.0) + p.y;
            }
            divergence += run;
        }
        const float all = total(lane, vec2(divergence, 0.0)).x;
        if (lane == 0) made[row0 + row] = all;
    }
}
