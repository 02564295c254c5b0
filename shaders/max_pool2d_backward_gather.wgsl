// needs: grid, pool2d
// The gradient of max-pool by its image, DX [planes, height, width], for windows that overlap. Each pixel sums DY [planes,
// rows, columns] over the windows of which it is the maximum. PLACES holds the position of each maximum. One invocation
// for each pixel, so that nothing is written twice.
@group(0) @binding(1) var<storage, read> d_y: array<f32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read_write> d_x: array<f32>;

const HEIGHT: u32 = 2u;  // of the window
const WIDTH: u32 = 2u;
const STRIDE_Y: u32 = 2u;
const STRIDE_X: u32 = 2u;
const REACH_Y: u32 = 1u; // windows that a pixel can be under, along each axis
const REACH_X: u32 = 1u;
const EDGES: bool = true; // whether the last workgroup runs past the end

fn epilogue(value: f32, index: u32) -> f32 { return value; } // spliced

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let index = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    if EDGES {
        if index >= dims.count {
            return;
        }
    }
    let pixel_at = place_of(index, dims.height, dims.width);
    let number = pixel_at.number;
    let y_padded = pixel_at.row + dims.padding_y;
    let x_padded = pixel_at.column + dims.padding_x;
    let plane = number * dims.rows;
    var sum = 0.0;
    for (var i = 0u; i < REACH_Y; i++) {
        // Backwards from the last window that begins at or before the pixel. Before the first window, this wraps around.
        let row = y_padded / STRIDE_Y - i;
        for (var j = 0u; j < REACH_X; j++) {
            let column = x_padded / STRIDE_X - j;
            let over = row < dims.rows && column < dims.columns
                && y_padded - row * STRIDE_Y < HEIGHT && x_padded - column * STRIDE_X < WIDTH;
            // The read has no condition: the maximum of a window without this pixel is another pixel.
            let window = select(plane * dims.columns, (plane + row) * dims.columns + column, over);
            sum += select(0.0, d_y[window], over && places[window] == index);
        }
    }
    d_x[index] = epilogue(sum, index);
}
