// needs: pool2d
// The window of a max-pool, and the positions of its taps in the image.
@group(0) @binding(1) var<storage, read> x: array<f32>;

const HEIGHT: u32 = 2u;      // of the window
const WIDTH: u32 = 2u;
const INSIDE: bool = false;  // whether no window reaches outside the image

// A tap is the position of one pixel of a window. A tap outside the image is moved to the nearest pixel of the image along
// each axis. That pixel is in the window too, so the maximum does not change, and padding needs no value.
fn nearest(place: u32, padding: u32, length: u32) -> u32 {
    if INSIDE {
        return place;
    }
    return clamp(place, padding, padding + length - 1u) - padding;
}

// The index in X of the largest pixel (the first of equal ones) of the window at a position in Y. The plane's rows in X begin
// at row `plane`.
fn winner_of(plane: u32, at: Place) -> u32 {
    var winner = (plane + nearest(at.row * dims.stride_y, dims.padding_y, dims.height)) * dims.width
        + nearest(at.column * dims.stride_x, dims.padding_x, dims.width);
    var largest = x[winner];
    for (var ky = 0u; ky < HEIGHT; ky++) {
        let row_start = (plane + nearest(at.row * dims.stride_y + ky, dims.padding_y, dims.height)) * dims.width;
        for (var kx = 0u; kx < WIDTH; kx++) {
            let place = row_start + nearest(at.column * dims.stride_x + kx, dims.padding_x, dims.width);
            let pixel = x[place];
            winner = select(winner, place, pixel > largest);
            largest = max(largest, pixel);
        }
    }
    return winner;
}

