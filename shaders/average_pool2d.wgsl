// needs: average_pool2d
// The mean of each window of X [planes, height, width], as Y [planes, rows, columns]; a plane is a channel of an image. The
// window of (row, column) has its corner at (row * stride - padding). One invocation a window.
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn each(index: u32) {
    let at = place_of(index, dims.rows, dims.columns);
    let plane = at.number * dims.height;
    let y_start = at.row * dims.stride_y;
    let x_start = at.column * dims.stride_x;
    var sum = 0.0;
    for (var ky = 0u; ky < HEIGHT; ky++) {
        for (var kx = 0u; kx < WIDTH; kx++) {
            // Outside the image the index wraps around or is too large. The pixel that is read instead is not added.
            let iy = y_start + ky - dims.padding_y;
            let ix = x_start + kx - dims.padding_x;
            let inside = iy < dims.height && ix < dims.width;
            let pixel = x[select(plane * dims.width, (plane + iy) * dims.width + ix, inside)];
            sum += select(0.0, pixel, inside);
        }
    }
    y[index] = sum / f32(counted_pixels(vec2u(y_start, x_start)));
}
