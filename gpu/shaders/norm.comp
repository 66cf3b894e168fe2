#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// RMS or layer norm of rows: a workgroup takes a row. y may be x.
layout(local_size_x = 128) in;
layout(std430, binding = 0) buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer W { float w[]; }; // weights, then biases
layout(std430, binding = 2) buffer Y { float y[]; };

layout(push_constant) uniform Rows {
    uint rows, cols;
    uint xAt, xStride, yAt, yStride, wAt, bAt;
    uint layer;   // 1: layer norm
    uint hasBias;
    float epsilon;
};

shared float partial[128];

float sumOfAll(float mine) {
    const uint lane = gl_LocalInvocationID.x;
    barrier(); // the last sum has been read by all
    partial[lane] = mine;
    barrier();
    for (uint half_ = 64; half_ > 0; half_ >>= 1) {
        if (lane < half_) partial[lane] += partial[lane + half_];
        barrier();
    }
    return partial[0];
}

void main() {
    const uint lane = gl_LocalInvocationID.x;
    for (uint row = gl_WorkGroupID.x; row < rows; row += gl_NumWorkGroups.x) {
        const uint from = xAt + row * xStride, to = yAt + row * yStride;
        float mean = 0.0, sum = 0.0;
        if (layer == 1) {
            for (uint c = lane; c < cols; c += 128) sum += x[from + c];
            mean = sumOfAll(sum) / float(cols);
            sum = 0.0;
        }
        for (uint c = lane; c < cols; c += 128) {
            const float d = x[from + c] - mean;
            sum += d * d;
        }
        const float scale = 1.0 / sqrt(sumOfAll(sum) / float(cols) + epsilon);
        for (uint c = lane; c < cols; c += 128) {
            const float normed = (x[from + c] - mean) * scale * w[wAt + c];
            y[to + c] = hasBias == 1 ? normed + w[bAt + c] : normed;
        }
    }
}
