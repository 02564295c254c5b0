// needs: each
// Copies x into y at an offset. One invocation for each element.
struct Dims {
    count: u32,
    offset: u32,
}
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn each(index: u32) {
    y[dims.offset + index] = x[index];
}
