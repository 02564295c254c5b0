// needs: grid
// The gradient of a convolution by its weight, the plain way: one invocation computes one element of DW
// from a share of the rows.
//
// Shapes: X is [batch, in_channels, height, width], DY is [batch, out_channels, rows, columns], DW is [splits,
// out_channels, in_channels / groups, kernel_height, kernel_width]; all row-major, any sizes.
//
// Forward, a tap of the kernel met one pixel for each output of each image. Its gradient is the sum, over all of them,
// of that pixel times that output's gradient: few sums, each of very many products. The order is fixed: image, row,
// column. Of long sums the rows of all images are split into shares, whose sums conv2d_sum_splits.wgsl adds in order: on
// Mesa's software rasteriser all loops of an invocation together run 65,535 times at most, and then end silently.

struct Dims {
    batch: u32,
    in_channels: u32,
    out_channels: u32,
    groups: u32,
    height: u32,
    width: u32,
    kernel_height: u32,
    kernel_width: u32,
    rows: u32,
    columns: u32,
    stride_y: u32,
    stride_x: u32,
    padding_y: u32,
    padding_x: u32,
    dilation_y: u32,
    dilation_x: u32,
    share: u32,
    splits: u32,
}

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_w: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_group(group, groups) * 64u + local;
    let inputs = dims.in_channels / dims.groups;
    let elements = dims.out_channels * inputs * dims.kernel_height * dims.kernel_width;
    if (index >= dims.splits * elements) {
        return;
    }
    let kx = index % dims.kernel_width;
    let ky = (index / dims.kernel_width) % dims.kernel_height;
    let channel = (index / (dims.kernel_width * dims.kernel_height)) % inputs;
    let output = (index / (dims.kernel_width * dims.kernel_height * inputs)) % dims.out_channels;
    let split = index / elements;

    let input = (output / (dims.out_channels / dims.groups)) * inputs + channel;
    var sum = 0.0;
    let end = min((split + 1u) * dims.share, dims.batch * dims.rows);
    for (var line = split * dims.share; line < end; line++) {
        let image = line / dims.rows;
        let row = line % dims.rows;
        // Above the image this wraps around and is as much outside as below it.
        let iy = row * dims.stride_y + ky * dims.dilation_y - dims.padding_y;
        if (iy >= dims.height) {
            continue;
        }
        let pixels = ((image * dims.in_channels + input) * dims.height + iy) * dims.width;
        let gradients = ((image * dims.out_channels + output) * dims.rows + row) * dims.columns;
        for (var column = 0u; column < dims.columns; column++) {
            let ix = column * dims.stride_x + kx * dims.dilation_x - dims.padding_x;
            if (ix < dims.width) {
                sum += x[pixels + ix] * d_y[gradients + column];
            }
        }
    }
    d_w[index] = sum;
}
