// needs: grid, conv2d
// The gradient of a convolution by its image, the plain kernel: one invocation computes one element of DX. As an op of its
// own, this is a transposed convolution of DY.
// A tap is one weight of the kernel: an offset (ky, kx) within an input channel.
//
// Shapes: DY is [batch, out_channels, rows, columns], W is [out_channels, in_channels / groups, kernel_height,
// kernel_width], DX is [batch, in_channels, height, width]; all row-major, any sizes.
//
// In the forward pass, pixel iy is multiplied by tap ky for output row (iy + padding - ky * dilation) / stride, if this is a
// whole number and the row exists. So each pixel sums, over all outputs that read it, the output's gradient times that tap.
// These are the same pairs as in the forward pass, and no two invocations write to the same element.

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> d_y: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_x: array<f32>;

fn epilogue(value: f32, index: u32, channel: u32) -> f32 { return value; } // spliced

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let index = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    if (index >= dims.batch * dims.in_channels * dims.height * dims.width) {
        return;
    }
    let ix = index % dims.width;
    let iy = (index / dims.width) % dims.height;
    let channel = (index / (dims.width * dims.height)) % dims.in_channels;
    let image = index / (dims.width * dims.height * dims.in_channels);

    let inputs = dims.in_channels / dims.groups;
    let outputs = dims.out_channels / dims.groups;
    let first_output = (channel / inputs) * outputs;
    var sum = 0.0;
    for (var out_channel = first_output; out_channel < first_output + outputs; out_channel++) {
        let plane = (image * dims.out_channels + out_channel) * dims.rows;
        let taps = (out_channel * inputs + channel % inputs) * dims.kernel_height;
        for (var ky = 0u; ky < dims.kernel_height; ky++) {
            // A negative distance wraps around to a number far above every row.
            let y_distance = iy + dims.padding_y - ky * dims.dilation_y;
            let row = y_distance / dims.stride_y;
            if (row >= dims.rows || row * dims.stride_y != y_distance) {
                continue;
            }
            for (var kx = 0u; kx < dims.kernel_width; kx++) {
                let x_distance = ix + dims.padding_x - kx * dims.dilation_x;
                let column = x_distance / dims.stride_x;
                if (column < dims.columns && column * dims.stride_x == x_distance) {
                    sum += d_y[(plane + row) * dims.columns + column] * w[(taps + ky) * dims.kernel_width + kx];
                }
            }
        }
    }
    d_x[index] = epilogue(sum, index, channel);
}
