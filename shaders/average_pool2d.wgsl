// needs: grid, pool2d
// The mean of each window of X [planes, height, width], as Y [planes, rows, columns]; a plane is a channel of an image. The
// window of (row, column) has its corner at (row * stride - padding). One invocation a window.
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const HEIGHT: u32 = 2u; // of the window
const WIDTH: u32 = 2u;
const INCLUDE_PADDING: bool = true; // whether the padding's zeros count
const EDGES: bool = true; // whether the last workgroup runs past the end

// Along one axis: the number of pixels in the mean of a window that begins at this padded position.
fn counted(start: u32, window: u32, padding: u32, length: u32) -> u32 {
    if INCLUDE_PADDING {
        return min(window, length + 2u * padding - start);
    }
    return min(start + window, padding + length) - max(start, padding);
}

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let index = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    if EDGES {
        if index >= dims.count {
            return;
        }
    }
    let at = place_of(index, dims.rows, dims.columns);
    let plane = at.number * dims.height;
    let y_start = at.row * dims.stride_y;
    let x_start = at.column * dims.stride_x;
    var sum = 0.0;
    for (var ky = 0u; ky < HEIGHT; ky++) {
        for (var kx = 0u; kx < WIDTH; kx++) {
            // Outside the image the index wraps around or is too large. The pixel that is read instead is not added.
            let iy = y_start + ky - dims.padding_y;
            let ix = x_start + kx - dims.padding_x;
            let inside = iy < dims.height && ix < dims.width;
            let pixel = x[select(plane * dims.width, (plane + iy) * dims.width + ix, inside)];
            sum += select(0.0, pixel, inside);
        }
    }
    let pixels = counted(y_start, HEIGHT, dims.padding_y, dims.height)
        * counted(x_start, WIDTH, dims.padding_x, dims.width);
    y[index] = sum / f32(pixels);
}
