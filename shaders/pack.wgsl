// needs: grid
// Copies x into y at an offset. One invocation for each element.
struct Dims {
    count: u32,
    offset: u32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let index = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    if index >= dims.count {
        return;
    }
    y[dims.offset + index] = x[index];
}
