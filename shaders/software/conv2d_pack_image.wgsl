// needs: each
// Copies images into the layout of the packed convolution kernels. For each tap, the numbers that it is multiplied by are in
// rows of vec4s that begin at the first output. So those kernels load whole vectors and need no checks at the edges.
// A tap is one weight of the kernel: an offset (ky, kx) within an input channel.
//
// Shapes: X is [batch, channels, height, width]; PACKED is [images, channels, kernel_width, rows, 4 * vectors], of the
// images from `first` on. Row r of it is row r - padding_y of X; its column i under tap kx is column
// i * stride_x + kx * dilation_x - padding_x. Elements outside X and beyond the last column of the
// output are zero.
//
// Division of work: an invocation packs one row of one channel, for all kx. On a software rasteriser a division costs as much
// as several loads, so an invocation does few divisions. If the next kx is the next column, three of the four numbers of a
// vector are those of the previous tap.

struct Dims {
    count: u32,    // rows of all planes
    first: u32,    // image
    channels: u32,
    height: u32,
    width: u32,
    kernel_width: u32,
    rows: u32,
    vectors: u32,
    columns: u32,  // of the output
    stride_x: u32,
    dilation_x: u32,
    padding_y: u32, // two's complement: below zero for the gradient of an image with more padding than kernel
    padding_x: u32,
}

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> packed: array<vec4f>;

// Left of the image, `column` wraps around to a large number, which is outside too.
fn pixel(row_start: u32, column: u32, inside: bool) -> f32 {
    let value = x[row_start + min(column, dims.width - 1u)];
    return select(0.0, value, inside && column < dims.width);
}

fn each(index: u32) {
    let plane = index / dims.rows;
    let row = index - (plane * dims.rows);
    let iy = row - dims.padding_y;
    let inside = iy < dims.height;
    let row_start = ((((dims.first * dims.channels) + plane) * dims.height) + min(iy, dims.height - 1u)) * dims.width;
    let slides = dims.stride_x == dims.dilation_x;

    for (var vec_index = 0u; vec_index < dims.vectors; vec_index++) {
        let exists = (vec4u(4u * vec_index) + vec4u(0u, 1u, 2u, 3u)) < vec4u(dims.columns);
        var pixels: vec4f;
        for (var kx = 0u; kx < dims.kernel_width; kx++) {
            let at = (4u * vec_index * dims.stride_x) + (kx * dims.dilation_x) - dims.padding_x;
            let last = pixel(row_start, at + (3u * dims.stride_x), inside);
            if (slides && kx > 0u) {
                pixels = vec4f(pixels.yzw, last);
            } else {
                pixels = vec4f(
                    pixel(row_start, at, inside),
                    pixel(row_start, at + dims.stride_x, inside),
                    pixel(row_start, at + (2u * dims.stride_x), inside),
                    last,
                );
            }
            let to = ((((plane * dims.kernel_width) + kx) * dims.rows) + row) * dims.vectors + vec_index;
            packed[to] = select(vec4f(0.0), pixels, exists);
        }
    }
}
