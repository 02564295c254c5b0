// needs: pool2d
// The window of an average-pool, and the number of its pixels.
const HEIGHT: u32 = 2u; // of the window
const WIDTH: u32 = 2u;
const INCLUDE_PADDING: bool = true; // whether the padding's zeros count

// The number of pixels in the mean of the window whose corner is at this position in the padded image.
fn counted_pixels(corner: vec2u) -> u32 {
    return counted(corner.x, HEIGHT, dims.padding_y, dims.height) * counted(corner.y, WIDTH, dims.padding_x, dims.width);
}

// Along one axis: the part of the window that begins at this padded position.
fn counted(start: u32, window: u32, padding: u32, length: u32) -> u32 {
    if INCLUDE_PADDING {
        return min(window, length + 2u * padding - start);
    }
    return min(start + window, padding + length) - max(start, padding);
}

