// needs: max_pool2d
// The largest pixel of each window of X [planes, height, width], as Y [planes, rows, columns]; a plane is a channel of a
// image. The window of (row, column) has its corner at (row * stride - padding). One invocation a window.
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn each(index: u32) {
    let at = place_of(index, dims.rows, dims.columns);
    let plane = at.number * dims.height;
    var largest = x[(plane + nearest(at.row * dims.stride_y, dims.padding_y, dims.height)) * dims.width
        + nearest(at.column * dims.stride_x, dims.padding_x, dims.width)];
    for (var ky = 0u; ky < HEIGHT; ky++) {
        let row_start = (plane + nearest(at.row * dims.stride_y + ky, dims.padding_y, dims.height)) * dims.width;
        for (var kx = 0u; kx < WIDTH; kx++) {
            largest = max(largest, x[row_start + nearest(at.column * dims.stride_x + kx, dims.padding_x, dims.width)]);
        }
    }
    y[index] = largest;
}
