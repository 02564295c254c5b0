// needs: grid
// Sums over the middle axis of x [outer, reduced, inner], in order. With pieces > 1 the axis is split into that many
// runs, and y [outer, pieces, inner] holds a sum for each. A second dispatch adds them.
// One invocation for each sum. Neighbouring invocations read neighbouring columns when inner is large.
struct Dims {
    outputs: u32, // outer * pieces * inner
    reduced: u32,
    inner: u32,
    pieces: u32,
    run: u32, // elements of a piece; the last may be shorter
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let index = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    if index >= dims.outputs {
        return;
    }
    let column = index % dims.inner;
    let piece = (index / dims.inner) % dims.pieces;
    let outer = index / (dims.inner * dims.pieces);
    let first = piece * dims.run;
    let last = min(first + dims.run, dims.reduced);
    var sum = 0.0;
    for (var k = first; k < last; k++) {
        sum += x[(outer * dims.reduced + k) * dims.inner + column];
    }
    y[index] = sum;
}
