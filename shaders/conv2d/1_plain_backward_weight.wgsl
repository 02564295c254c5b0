// needs: grid, conv2d
// The gradient of a convolution by its weight, the plain kernel: one invocation computes one element of DW
// from a share of the rows.
// A tap is one weight of the kernel: an offset (ky, kx) within an input channel.
//
// Shapes: X is [batch, in_channels, height, width], DY is [batch, out_channels, rows, columns], DW is [splits,
// out_channels, in_channels / groups, kernel_height, kernel_width]; all row-major, any sizes.
//
// In the forward pass, a tap is multiplied by one pixel for each output of each image. Its gradient is the sum, over all
// outputs, of that pixel times the output's gradient: few sums, each of very many products. The order is fixed: image,
// row, column. For long sums, the rows of all images are split into shares, and sum_splits.wgsl adds the sums of
// the shares in order. The reason: on Mesa's software rasteriser, all loops of an invocation together run at most 65,535
// times and then end silently.

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_w: array<f32>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let index = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    let inputs = dims.in_channels / dims.groups;
    let elements = dims.out_channels * inputs * dims.kernel_height * dims.kernel_width;
    if (index >= dims.splits * elements) {
        return;
    }
    let kx = index % dims.kernel_width;
    let ky = (index / dims.kernel_width) % dims.kernel_height;
    let channel = (index / (dims.kernel_width * dims.kernel_height)) % inputs;
    let out_channel = (index / (dims.kernel_width * dims.kernel_height * inputs)) % dims.out_channels;
    let split = index / elements;

    let in_channel = (out_channel / (dims.out_channels / dims.groups)) * inputs + channel;
    var sum = 0.0;
    let end = min((split + 1u) * dims.share, dims.batch * dims.rows);
    for (var row_index = split * dims.share; row_index < end; row_index++) {
        let image = row_index / dims.rows;
        let row = row_index % dims.rows;
        // Above the image this wraps around to a large number, which is outside too.
        let iy = row * dims.stride_y + ky * dims.dilation_y - dims.padding_y;
        if (iy >= dims.height) {
            continue;
        }
        let pixels = ((image * dims.in_channels + in_channel) * dims.height + iy) * dims.width;
        let gradients = ((image * dims.out_channels + out_channel) * dims.rows + row) * dims.columns;
        for (var column = 0u; column < dims.columns; column++) {
            let ix = column * dims.stride_x + kx * dims.dilation_x - dims.padding_x;
            if (ix < dims.width) {
                sum += x[pixels + ix] * d_y[gradients + column];
            }
        }
    }
    d_w[index] = sum;
}
