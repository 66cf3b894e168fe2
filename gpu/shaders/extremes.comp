#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// The least and largest value of every group of columns of a row, and the first one of the largest magnitude: what scales of a
// grid follow from. A workgroup takes a group. Compared as bits, so that nothing depends on how a device treats subnormals.
layout(local_size_x = 32) in;
layout(std430, binding = 0) readonly buffer W { uint w[]; };       // bits of f32
layout(std430, binding = 1) writeonly buffer Out { uint made[]; }; // per group: keys of least and largest, bits of the first largest

layout(push_constant) uniform Shape {
    uint rows, cols;
    uint group; // columns of one
    uint row0;  // of the results
};

shared uint least[32];
shared uint most[32];
shared uint largest[32];
shared uint place[32];

// Unsigned numbers in the order of the floats they stand for; both zeros are equal.
uint orderKey(uint bits) {
    if ((bits & 0x7FFFFFFFu) == 0) bits = 0;
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

void main() {
    const uint lane = gl_LocalInvocationID.x, groups = (cols + group - 1) / group;
    const uint first = gl_WorkGroupID.x * group, last = min(first + group, cols);
    for (uint row = gl_WorkGroupID.y; row < rows; row += gl_NumWorkGroups.y) {
        const uint from = row * cols;
        uint low = 0xFFFFFFFFu, high = 0, top = 0, at = last;
        for (uint c = first + lane; c < last; c += 32) {
            const uint bits = w[from + c], key = orderKey(bits), magnitude = bits & 0x7FFFFFFFu;
            low = min(low, key);
            high = max(high, key);
            if (magnitude > top) {
                top = magnitude;
                at = c;
            }
        }
        barrier(); // the last row's have been read
        least[lane] = low;
        most[lane] = high;
        largest[lane] = top;
        place[lane] = at;
        barrier();
        for (uint step = 16; step > 0; step >>= 1) {
            if (lane < step) {
                least[lane] = min(least[lane], least[lane + step]);
                most[lane] = max(most[lane], most[lane + step]);
                const uint other = largest[lane + step];
                if (other > largest[lane] || (other == largest[lane] && place[lane + step] < place[lane])) {
                    largest[lane] = other;
                    place[lane] = place[lane + step];
                }
            }
            barrier();
        }
        if (lane == 0) {
            const uint to = ((row0 + row) * groups + gl_WorkGroupID.x) * 3;
            made[to] = least[0];
            made[to + 1] = most[0];
            made[to + 2] = largest[0] == 0 ? 0 : w[from + place[0]];
        }
    }
}
