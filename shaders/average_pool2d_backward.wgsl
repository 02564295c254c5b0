// needs: average_pool2d, pool2d_backward
// The gradient of average-pool by its image, DX [planes, height, width]. Each pixel sums its shares of DY [planes, rows,
// columns] over the windows that contain it. One invocation for each pixel.
@group(0) @binding(1) var<storage, read> d_y: array<f32>;
@group(0) @binding(2) var<storage, read_write> d_x: array<f32>;

fn epilogue(value: f32, index: u32) -> f32 { return value; } // spliced

// The share of a pixel in the gradient of a window that contains it.
fn share(pixel: u32, window: u32, corner: vec2u) -> f32 {
    return d_y[window] / f32(max(counted_pixels(corner), 1u));
}

fn each(pixel: u32) {
    d_x[pixel] = epilogue(sum_of_shares(pixel), pixel);
}
