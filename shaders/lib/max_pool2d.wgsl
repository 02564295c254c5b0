// needs: pool2d
// The window of a max-pool, and where its taps meet the image.
@group(0) @binding(1) var<storage, read> x: array<f32>;

const HEIGHT: u32 = 2u;      // of the window
const WIDTH: u32 = 2u;
const INSIDE: bool = false;  // whether no window reaches outside the image

// A tap is the place of one pixel of a window. Along one axis it is moved to the image's nearest pixel where it is outside:
// that pixel is under the window as well, so that meeting it twice changes no maximum, and padding needs no value of its own.
fn nearest(place: u32, padding: u32, length: u32) -> u32 {
    if INSIDE {
        return place;
    }
    return clamp(place, padding, padding + length - 1u) - padding;
}

// The largest pixel of the window at a place in Y, whose plane's rows in X begin at row `plane`, the first of equal ones: its
// index in X.
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

