// needs: grid
// Copies the sums of a convolution (product.wgsl), whose channels are neighbours, to images, whose columns are neighbours.
//
// Shapes: SUMS is [batch, image_rows, image_columns, stride]; rows, columns and channels after those of Y are left out. Y is
// [batch, channels, rows, columns].
//
// Division of work: an invocation copies eight channels of a pixel: 32 bytes of SUMS, the unit of device memory. Neighbouring
// invocations have neighbouring columns of Y.

struct Dims {
    count: u32, // invocations
    channels: u32,
    rows: u32,
    columns: u32,
    image_rows: u32,
    image_columns: u32,
    stride: u32,
}

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn epilogue(value: f32, index: u32, channel: u32) -> f32 { return value; } // spliced

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let number = (linear_group(invocation.group, invocation.groups) * 64u) + invocation.local;
    if (number >= dims.count) {
        return;
    }
    let blocks = (dims.channels + 7u) / 8u;
    let column = number % dims.columns;
    let row = (number / dims.columns) % dims.rows;
    let block = (number / (dims.columns * dims.rows)) % blocks;
    let image = number / (dims.columns * dims.rows * blocks);
    let pixel = (((image * dims.image_rows) + row) * dims.image_columns) + column;
    let end = min((8u * block) + 8u, dims.channels);
    for (var channel = 8u * block; channel < end; channel++) {
        let index = (((((image * dims.channels) + channel) * dims.rows) + row) * dims.columns) + column;
        y[index] = epilogue(sums[(pixel * dims.stride) + channel], index, channel);
    }
}
