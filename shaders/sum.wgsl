// needs: each, ordered_sum
// Sums over the middle axis of x [outer, reduced, inner], in order. With pieces > 1 the axis is split into that many
// runs, and y [outer, pieces, inner] holds a sum for each. A second dispatch adds them.
// One invocation for each sum. Neighbouring invocations read neighbouring columns when inner is large.
struct Dims {
    count: u32, // outer * pieces * inner
    reduced: u32,
    inner: u32,
    pieces: u32,
    run: u32, // elements of a piece; the last may be shorter
}
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn term(i: u32) -> f32 { return x[i]; }

fn each(index: u32) {
    let column = index % dims.inner;
    let piece = (index / dims.inner) % dims.pieces;
    let outer = index / (dims.inner * dims.pieces);
    let first = piece * dims.run;
    let last = min(first + dims.run, dims.reduced);
    y[index] = ordered_sum((outer * dims.reduced + first) * dims.inner + column, dims.inner, last - first);
}
