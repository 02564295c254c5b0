// needs: each, ordered_sum
// Adds the partial sums of the gradient of a convolution's weight (product.wgsl), in a fixed order.
//
// Shapes: SUMS is [taps, splits, inputs and padding, stride], Y is [outputs, inputs, taps].
//
// Division of work: one invocation for each element of Y.

struct Dims {
    count: u32,
    inputs: u32,
    taps: u32,
    splits: u32,
    plane: u32, // elements of a split
    stride: u32,
}

@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn term(i: u32) -> f32 { return sums[i]; }

fn each(index: u32) {
    let tap = index % dims.taps;
    let channel = (index / dims.taps) % dims.inputs;
    let out_channel = index / (dims.taps * dims.inputs);
    let first = (tap * dims.splits * dims.plane) + (channel * dims.stride) + out_channel;
    y[index] = ordered_sum(first, dims.plane, dims.splits);
}
