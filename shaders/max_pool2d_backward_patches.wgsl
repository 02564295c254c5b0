// needs: grid
// The gradient of max-pool by its image, DX [planes, height, width], from X and DY [planes, rows, columns], where no pixel
// is under two windows and there is no padding. One invocation a window: it finds its largest pixel again, of equal ones the
// first, and writes its whole patch, up to the next window or the image's end: DY to the winner, zero to the others.
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
@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_x: array<f32>;

const HEIGHT: u32 = 2u;      // of the window
const WIDTH: u32 = 2u;
const INSIDE: bool = false;  // whether no window reaches outside the image
const EDGES: bool = true; // whether the last workgroup runs past the end

fn epilogue(value: f32, index: u32) -> f32 { return value; } // spliced

// A window's tap along one axis, moved to the image's nearest pixel where it is outside: that pixel is under the window as
// well, so that meeting it twice changes no maximum, and padding needs no value of its own.
fn nearest(place: u32, padding: u32, length: u32) -> u32 {
    if INSIDE {
        return place;
    }
    return clamp(place, padding, padding + length - 1u) - padding;
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
    var winner = (plane + nearest(row * dims.stride_y, dims.padding_y, dims.height)) * dims.width
        + nearest(column * dims.stride_x, dims.padding_x, dims.width);
    var largest = x[winner];
    for (var ky = 0u; ky < HEIGHT; ky++) {
        let line = (plane + nearest(row * dims.stride_y + ky, dims.padding_y, dims.height)) * dims.width;
        for (var kx = 0u; kx < WIDTH; kx++) {
            let place = line + nearest(column * dims.stride_x + kx, dims.padding_x, dims.width);
            let pixel = x[place];
            winner = select(winner, place, pixel > largest);
            largest = max(largest, pixel);
        }
    }
    let given = d_y[index];
    let below = select((row + 1u) * dims.stride_y, dims.height, row + 1u == dims.rows);
    let right = select((column + 1u) * dims.stride_x, dims.width, column + 1u == dims.columns);
    for (var iy = row * dims.stride_y; iy < below; iy++) {
        for (var ix = column * dims.stride_x; ix < right; ix++) {
            let place = (plane + iy) * dims.width + ix;
            d_x[place] = epilogue(select(0.0, given, place == winner), place);
        }
    }
}
