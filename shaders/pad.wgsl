// needs: each
// Pads x with zeros before and after it along one axis. y is [outer, size, inner], x is [outer, inside, inner].
// One invocation for each element of y.
struct Dims {
    count: u32,
    size: u32,
    inner: u32,
    before: u32,
    inside: u32,
}
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn each(index: u32) {
    let column = index % dims.inner;
    let place = (index / dims.inner) % dims.size;
    let outer = index / (dims.inner * dims.size);
    if place >= dims.before && place < dims.before + dims.inside {
        y[index] = x[(outer * dims.inside + place - dims.before) * dims.inner + column];
    } else {
        y[index] = 0.0;
    }
}
