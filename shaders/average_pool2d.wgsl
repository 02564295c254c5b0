// needs: grid
// The mean of each window of X [planes, height, width], as Y [planes, rows, columns]; a plane is a channel of an image. The
// window of (row, column) has its corner at (row * stride - padding). One invocation a window.
struct Dims {
    count: u32, // windows of all planes
    height: u32,
    width: u32,
    rows: u32,
    columns: u32,
    stride_y: u32,
    stride_x: u32,
    padding_y: u32,
    padding_x: u32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const HEIGHT: u32 = 2u; // of the window
const WIDTH: u32 = 2u;
const INCLUDE_PADDING: bool = true; // whether the padding's zeros count
const EDGES: bool = true; // whether the last workgroup runs past the end

// Along one axis, the pixels that the mean of a window with this padded start is over.
fn counted(start: u32, kernel: u32, padding: u32, length: u32) -> u32 {
    if INCLUDE_PADDING {
        return min(kernel, length + 2u * padding - start);
    }
    return min(start + kernel, padding + length) - max(start, padding);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_group(group, groups) * 64u + local;
    if EDGES {
        if index >= dims.count {
            return;
        }
    }
    let line_of_windows = index / dims.columns; // Division is slow: two of them, and the remainders from these.
    let column = index - line_of_windows * dims.columns;
    let number = line_of_windows / dims.rows;
    let row = line_of_windows - number * dims.rows;
    let plane = number * dims.height;
    let y_start = row * dims.stride_y;
    let x_start = column * dims.stride_x;
    var sum = 0.0;
    for (var ky = 0u; ky < HEIGHT; ky++) {
        for (var kx = 0u; kx < WIDTH; kx++) {
            // Outside the image this wraps around or is beyond it; the pixel read instead does not count.
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
