#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// What a row of logits says: its largest value, the sum of exponentials below it, the target's logit, and the ten largest
// values' places in order (of equal ones the first). A workgroup takes a row. Sums are made in runs, so that their rounding
// does not grow with the vocabulary.
layout(local_size_x = 256) in;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer Targets { uint targets[]; };
layout(std430, binding = 2) writeonly buffer Out { uint made[]; }; // per row: peak, sum, target's logit, then places

layout(push_constant) uniform Shape {
    uint rows, cols;
    uint xAt, xStride;
    uint row0; // of targets and results
};

const uint kPlaces = 10, kWords = 3 + kPlaces, kRun = 16;
const float kLowest = -3.4e38;
shared float values[256];
shared uint places[256];

// Is (a, at i) before (b, at j)? NaN counts as the lowest.
bool before(float a, uint i, float b, uint j) { return a > b || (a == b && i < j); }

void main() {
    const uint lane = gl_LocalInvocationID.x;
    for (uint row = gl_WorkGroupID.x; row < rows; row += gl_NumWorkGroups.x) {
        const uint from = xAt + row * xStride, to = (row0 + row) * kWords;
        float lastValue = 0.0, peak = 0.0;
        uint lastPlace = 0;
        for (uint n = 0; n < kPlaces; ++n) {
            float best = kLowest;
            uint at = 0xFFFFFFFFu;
            for (uint c = lane; c < cols; c += 256) {
                const float v = x[from + c] > kLowest ? x[from + c] : kLowest;
                const bool left = n == 0 || before(lastValue, lastPlace, v, c);
                if (left && before(v, c, best, at)) {
                    best = v;
                    at = c;
                }
            }
            barrier();
            values[lane] = best;
            places[lane] = at;
            barrier();
            for (uint step = 128; step > 0; step >>= 1) {
                if (lane < step && before(values[lane + step], places[lane + step], values[lane], places[lane])) {
                    values[lane] = values[lane + step];
                    places[lane] = places[lane + step];
                }
                barrier();
            }
            lastValue = values[0];
            lastPlace = places[0];
            if (n == 0) peak = lastValue;
            if (lane == 0) made[to + 3 + n] = lastPlace;
        }
        float sum = 0.0;
        for (uint c = lane; c < cols; c += 256 * kRun) {
            float run = 0.0;
            for (uint i = 0; i < kRun; ++i)
                if (c + i * 256 < cols) run += exp(x[from + c + i * 256] - peak);
            sum += run;
        }
        barrier();
        values[lane] = sum;
        barrier();
        for (uint step = 128; step > 0; step >>= 1) {
            if (lane < step) values[lane] += values[lane + step];
            barrier();
        }
        if (lane == 0) {
            made[to] = floatBitsToUint(peak);
            made[to + 1] = floatBitsToUint(values[0]);
            made[to + 2] = floatBitsToUint(x[from + targets[row0 + row]]);
        }
    }
}
