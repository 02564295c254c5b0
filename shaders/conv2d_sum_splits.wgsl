// needs: grid
// Adds the sums that the splits of a weight's gradient have left, in their order: the same bits always.
// A tap is one weight of the kernel: an offset (ky, kx) within an input channel.
//
// Shapes: SUMS is [splits, rows, pitch], DW is [rows, taps]; what lies beyond the taps of a row is left out.
//
// Division of work: one invocation a tap.

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
