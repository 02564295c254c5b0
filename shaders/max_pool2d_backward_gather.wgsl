// needs: pool2d_backward
// The gradient of max-pool by its image, DX [planes, height, width], for windows that overlap. Each pixel sums DY [planes,
// rows, columns] over the windows of which it is the maximum. PLACES holds the position of each maximum. One invocation
// for each pixel, so that nothing is written twice.
@group(0) @binding(1) var<storage, read> d_y: array<f32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read_write> d_x: array<f32>;

const HEIGHT: u32 = 2u; // of the window
const WIDTH: u32 = 2u;

fn epilogue(value: f32, index: u32) -> f32 { return value; } // spliced

// The share of a pixel in the gradient of a window that contains it: all or nothing.
fn share(pixel: u32, window: u32, corner: vec2u) -> f32 {
    return select(0.0, d_y[window], places[window] == pixel);
}

fn each(pixel: u32) {
    d_x[pixel] = epilogue(sum_of_shares(pixel), pixel);
}
