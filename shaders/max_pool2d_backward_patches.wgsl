// needs: max_pool2d
// The gradient of max-pool by its image, DX [planes, height, width], from X and DY [planes, rows, columns], for windows that
// do not overlap and have no padding. One invocation for each window: it finds the window's largest pixel again (the first
// of equal ones). Then it writes all pixels up to the next window or the image's end: DY to the largest, zero to the others.
@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_x: array<f32>;

fn epilogue(value: f32, index: u32) -> f32 { return value; } // spliced

fn each(index: u32) {
    let at = place_of(index, dims.rows, dims.columns);
    let plane = at.number * dims.height;
    let winner = winner_of(plane, at);
    let given = d_y[index];
    let below = select((at.row + 1u) * dims.stride_y, dims.height, at.row + 1u == dims.rows);
    let right = select((at.column + 1u) * dims.stride_x, dims.width, at.column + 1u == dims.columns);
    for (var iy = at.row * dims.stride_y; iy < below; iy++) {
        for (var ix = at.column * dims.stride_x; ix < right; ix++) {
            let place = (plane + iy) * dims.width + ix;
            d_x[place] = epilogue(select(0.0, given, place == winner), place);
        }
    }
}
