// needs: conv2d
// A convolution and its gradient by the image as one product: X is what is read, Y what is computed. Forward, X is the image
// and Y the output; with BACKWARD, X is the gradient of the output and Y that of the image.
const BACKWARD: bool = false;

// Channels of a group of X and of Y; height and width.
fn channels_x() -> u32 { return select(dims.in_channels, dims.out_channels, BACKWARD) / dims.groups; }
fn channels_y() -> u32 { return select(dims.out_channels, dims.in_channels, BACKWARD) / dims.groups; }
fn size_x() -> vec2u { return select(vec2u(dims.height, dims.width), vec2u(dims.rows, dims.columns), BACKWARD); }
fn size_y() -> vec2u { return select(vec2u(dims.rows, dims.columns), vec2u(dims.height, dims.width), BACKWARD); }

// A pixel of Y: its image, its position in the image, and the position in X of tap 0, in rows and columns of the padded
// image.
struct Pixel {
    image: u32,
    place: u32,
    at: vec2u,
}

fn pixel_of(number: u32) -> Pixel {
    let size = size_y();
    let image = number / (size.x * size.y);
    let place = number - (image * size.x * size.y);
    let row = place / size.y;
    let at = vec2u(row, place - (row * size.y));
    let stride = vec2u(dims.stride_y, dims.stride_x);
    let padding = vec2u(dims.padding_y, dims.padding_x);
    if (BACKWARD) {
        return Pixel(image, place, at + padding);
    }
    return Pixel(image, place, (at * stride) - padding);
}

