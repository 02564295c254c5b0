// needs: each
// Sums the products of all taps and outputs of a convolution into the image (PyTorch's `fold`): the second step of the
// gradient by the image for a stride above 1. The first step is a matrix product, which does no work for pixels without
// a tap.
// A tap is one weight of the kernel: an offset (ky, kx) within an input channel.
//
// Shapes: TAPS is [images, in_channels, kernel_height, kernel_width, pitch], a row of it is `rows` x `columns` outputs and
// padding; DX is [batch, in_channels, height, width], of which this computes the images from `first` on.
//
// Division of work: one invocation for each pixel of DX. It sums over all outputs that read the pixel, with the same taps in
// the same order as conv2d_backward_input.wgsl.

struct Dims {
    count: u32,       // pixels
    first: u32,       // image of DX
    in_channels: u32,
    height: u32,
    width: u32,
    kernel_height: u32,
    kernel_width: u32,
    rows: u32,
    columns: u32,
    pitch: u32,
    stride_y: u32,
    stride_x: u32,
    padding_y: u32,
    padding_x: u32,
    dilation_y: u32,
    dilation_x: u32,
}

@group(0) @binding(1) var<storage, read> taps: array<f32>;
@group(0) @binding(2) var<storage, read_write> d_x: array<f32>;

fn epilogue(value: f32, index: u32, channel: u32) -> f32 { return value; } // spliced

fn each(pixel: u32) {
    let row_index = pixel / dims.width;
    let ix = pixel - (row_index * dims.width);
    let plane = row_index / dims.height;
    let iy = row_index - (plane * dims.height);
    var sum = 0.0;
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
                let tap = (((plane * dims.kernel_height) + ky) * dims.kernel_width) + kx;
                sum += taps[(tap * dims.pitch) + (row * dims.columns) + column];
            }
        }
    }
    let index = (dims.first * dims.in_channels * dims.height * dims.width) + pixel;
    d_x[index] = epilogue(sum, index, plane % dims.in_channels);
}
