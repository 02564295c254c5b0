// needs: grid, conv2d
// Convolution, the plain way: one invocation computes one element of Y.
// A tap is one weight of the kernel: an offset (ky, kx) within an input channel.
//
// Shapes: X is [batch, in_channels, height, width], W is [out_channels, in_channels / groups, kernel_height,
// kernel_width], Y is [batch, out_channels, rows, columns]; all row-major, any sizes.
//
// The kernel W lies over X with its corner at (row * stride - padding); a tap every `dilation` pixels. Output channels are
// split into groups, and each group sees the input channels of its own group alone. Where a tap falls outside X it meets
// the padding, which is zero and is left out of the sum.
//
// This is the definition that the faster kernels are compared with. Each product of two numbers loads both of them: the
// fast kernels differ only in how often a number is used once it is loaded.

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn epilogue(value: f32, index: u32) -> f32 { return value; } // spliced

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let index = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    if (index >= dims.batch * dims.out_channels * dims.rows * dims.columns) {
        return;
    }
    let column = index % dims.columns;
    let row = (index / dims.columns) % dims.rows;
    let out_channel = (index / (dims.columns * dims.rows)) % dims.out_channels;
    let image = index / (dims.columns * dims.rows * dims.out_channels);

    let inputs = dims.in_channels / dims.groups;
    let first_input = (out_channel / (dims.out_channels / dims.groups)) * inputs;
    var sum = 0.0;
    for (var channel = 0u; channel < inputs; channel++) {
        let plane = (image * dims.in_channels + first_input + channel) * dims.height;
        let taps = (out_channel * inputs + channel) * dims.kernel_height;
        for (var ky = 0u; ky < dims.kernel_height; ky++) {
            // Above the image this wraps around and is as much outside as below it.
            let iy = row * dims.stride_y + ky * dims.dilation_y - dims.padding_y;
            if (iy >= dims.height) {
                continue;
            }
            for (var kx = 0u; kx < dims.kernel_width; kx++) {
                let ix = column * dims.stride_x + kx * dims.dilation_x - dims.padding_x;
                if (ix < dims.width) {
                    sum += x[(plane + iy) * dims.width + ix] * w[(taps + ky) * dims.kernel_width + kx];
                }
            }
        }
    }
    y[index] = epilogue(sum, index);
}
