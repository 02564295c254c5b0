// needs: grid, conv2d
// Convolution, the plain kernel: one invocation computes one element of Y.
// A tap is one weight of the kernel: an offset (ky, kx) within an input channel.
//
// Shapes: X is [batch, in_channels, height, width], W is [out_channels, in_channels / groups, kernel_height,
// kernel_width], Y is [batch, out_channels, rows, columns]; all row-major, any sizes.
//
// For output (row, column) the kernel's corner is at row * stride - padding, and its taps are `dilation` pixels apart, in
// the same way along both axes. Output channels are split into groups; each group reads only the input channels of its
// own group. Taps outside X would be multiplied by the padding, which is zero; they are left out of the sum.
//
// The faster kernels are compared with this one. It loads both numbers of each product. The fast kernels use a number
// several times after loading it.

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn epilogue(value: f32, index: u32, channel: u32) -> f32 { return value; } // spliced

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
            // Above the image this wraps around to a large number, which is outside too.
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
    y[index] = epilogue(sum, index, out_channel);
}
