// needs: pool2d
// The windows of a pooling that contain a pixel of the image, for the gradient by the image. The kernel declares `share`, HEIGHT
// and WIDTH.
const STRIDE_Y: u32 = 2u;
const STRIDE_X: u32 = 2u;
const REACH_Y: u32 = 1u; // windows that a pixel can be under, along each axis
const REACH_X: u32 = 1u;

// The sum of `share(pixel, window, corner)` over the windows that contain the pixel. `window` is the index of the window in DY
// and `corner` the position of its corner in the padded image.
fn sum_of_shares(pixel: u32) -> f32 {
    let at = place_of(pixel, dims.height, dims.width);
    let padded = vec2u(at.row + dims.padding_y, at.column + dims.padding_x);
    let plane = at.number * dims.rows;
    var sum = 0.0;
    for (var i = 0u; i < REACH_Y; i++) {
        // Backwards from the last window that begins at or before the pixel. Before the first window, this wraps around.
        let row = padded.x / STRIDE_Y - i;
        for (var j = 0u; j < REACH_X; j++) {
            let column = padded.y / STRIDE_X - j;
            let corner = vec2u(row * STRIDE_Y, column * STRIDE_X);
            let contains = row < dims.rows && column < dims.columns
                && padded.x - corner.x < HEIGHT && padded.y - corner.y < WIDTH;
            // The reads have no condition. The share of a window that does not contain the pixel is not added.
            let window = select(plane * dims.columns, (plane + row) * dims.columns + column, contains);
            sum += select(0.0, share(pixel, window, corner), contains);
        }
    }
    return sum;
}

