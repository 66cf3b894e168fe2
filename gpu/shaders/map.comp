#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// Element by element: x ← f(x, y). One pipeline per operation.
layout(local_size_x = 128) in;
layout(constant_id = 0) const uint kOperation = 0; // as Map in elementwise.h
layout(std430, binding = 0) buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer Y { float y[]; };

layout(push_constant) uniform Shape {
    uint rows, cols;
    uint xAt, xStride, yAt, yStride; // yStride 0: one row for all
    uint multiplies;                 // activations: times y
    float value;
};

// x·σ(z); exp of anything above 100 is no longer needed.
float timesSigmoid(float v, float z) { return v / (1.0 + exp(min(-z, 100.0))); }

// Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: error below 1.5e-7.
float erfOf(float v) {
    const float a = abs(v), t = 1.0 / (1.0 + 0.3275911 * a);
    const float tail = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return sign(v) * (1.0 - tail * exp(-min(a * a, 100.0)));
}

float tanhOf(float v) {
    const float e = exp(-2.0 * min(abs(v), 20.0));
    return sign(v) * (1.0 - e) / (1.0 + e);
}

void main() {
    const uint all = rows * cols, step = gl_NumWorkGroups.x * 128;
    for (uint at = gl_GlobalInvocationID.x; at < all; at += step) {
        const uint row = at / cols, col = at % cols, here = xAt + row * xStride + col;
        const uint there = yAt + row * yStride + col;
        const float v = x[here];
        switch (kOperation) {
        case 0: x[here] = v + y[there]; break;
        case 1: x[here] = y[there]; break;
        case 2: x[here] = value; break;
        case 3: x[here] = value * tanhOf(v / value); break;
        default: {
            float made;
            if (kOperation == 4) made = timesSigmoid(v, v);
            else if (kOperation == 5) made = timesSigmoid(v, 1.5957691216057308 * v * (0.044715 * v * v + 1.0));
            else made = 0.5 * v * (1.0 + erfOf(v * 0.70710678118654752));
            x[here] = multiplies == 1 ? made * y[there] : made;
        }
        }
    }
}
