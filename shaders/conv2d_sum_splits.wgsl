// needs: each, ordered_sum
// Adds the partial sums of a weight's gradient, one for each split, in a fixed order, so that the bits are always the same.
// A tap is one weight of the kernel: an offset (ky, kx) within an input channel.
//
// Shapes: SUMS is [splits, rows, pitch], DW is [rows, taps]; elements of a row after the taps are left out.
//
// Division of work: one invocation for each tap.

struct Dims {
    count: u32, // rows * taps
    rows: u32,
    taps: u32,
    pitch: u32,
    splits: u32,
}

@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> d_w: array<f32>;

fn term(i: u32) -> f32 { return sums[i]; }

fn each(index: u32) {
    let row = index / dims.taps;
    let first = row * dims.pitch + index - row * dims.taps;
    d_w[index] = ordered_sum(first, dims.rows * dims.pitch, dims.splits);
}
