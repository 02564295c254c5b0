// needs: grid
// Adds the partial sums of a weight's gradient, one for each split, in a fixed order, so that the bits are always the same.
// A tap is one weight of the kernel: an offset (ky, kx) within an input channel.
//
// Shapes: SUMS is [splits, rows, pitch], DW is [rows, taps]; elements of a row after the taps are left out.
//
// Division of work: one invocation for each tap.

struct Dims {
    rows: u32,
    taps: u32,
    pitch: u32,
    splits: u32,
}

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> d_w: array<f32>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let index = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    if (index >= dims.rows * dims.taps) {
        return;
    }
    let row = index / dims.taps;
    let at = (row * dims.pitch) + (index - (row * dims.taps));
    var sum = 0.0;
    for (var split = 0u; split < dims.splits; split++) {
        sum += sums[(split * dims.rows * dims.pitch) + at];
    }
    d_w[index] = sum;
}
