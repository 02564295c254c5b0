// needs: grid, step
// Adds the sums of the pieces of each channel, SUMS [channels, pieces], in order: the second step of channel_statistic.wgsl.
// With MEAN the sum is divided by the number of elements. One invocation for each channel.
struct Dims {
    channels: u32,
    pieces: u32,
    batch: u32,
    pixels: u32, // of a channel of an image
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const MEAN: bool = false;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let channel = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    if channel >= dims.channels {
        return;
    }
    var total = 0.0;
    for (var piece = 0u; piece < dims.pieces; piece++) {
        total += sums[channel * dims.pieces + piece];
    }
    if MEAN {
        let valid = min(step.valid, dims.batch);
        total = select(0.0, total / f32(valid * dims.pixels), valid > 0u);
    }
    y[channel] = total;
}
