// needs: each, step, ordered_sum
// Adds the sums of the pieces of each channel, SUMS [channels, pieces], in order: the second step of channel_statistic.wgsl.
// With MEAN the sum is divided by the number of elements. One invocation for each channel.
struct Dims {
    count: u32, // channels
    pieces: u32,
    batch: u32,
    pixels: u32, // of a channel of an image
}
@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const MEAN: bool = false;

fn term(i: u32) -> f32 { return sums[i]; }

fn each(channel: u32) {
    var total = ordered_sum(channel * dims.pieces, 1u, dims.pieces);
    if MEAN {
        let valid = min(step.valid, dims.batch);
        total = select(0.0, total / f32(valid * dims.pixels), valid > 0u);
    }
    y[channel] = total;
}
