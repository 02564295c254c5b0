// needs: resize2d
// The gradient of a resize by its images, DX [planes, height, width], from DY [planes, rows, columns]. Each pixel sums DY over
// the pixels of the result that read it, times its weight in them. One invocation for each pixel of DX.
@group(0) @binding(1) var<storage, read> d_y: array<f32>;
@group(0) @binding(2) var<storage, read_write> d_x: array<f32>;

// The weight of pixel `source` in pixel `place` of the result.
fn weight(place: u32, own: u32, source_length: u32, length: u32) -> f32 {
    let found = sources_of(place, source_length, length);
    return select(0.0, 1.0 - found.rest, found.before == own) + select(0.0, found.rest, found.after == own);
}

// The range of pixels of the result that may read pixel `source`: the first one, and one more than the last. Either end may
// be one pixel too wide.
fn places(own: u32, source_length: u32, length: u32) -> vec2u {
    let first = (max(2u * own, 1u) - 1u) * length / (2u * source_length);
    let last = (2u * own + 3u) * length / (2u * source_length) + 2u;
    return vec2u(max(first, 1u) - 1u, min(last, length));
}

fn each(index: u32) {
    let row = (index / dims.width) % dims.height;
    let column = index % dims.width;
    let plane = (index / (dims.width * dims.height)) * dims.rows;
    let lines = places(row, dims.height, dims.rows);
    let across = places(column, dims.width, dims.columns);
    var sum = 0.0;
    for (var ix = across.x; ix < across.y; ix++) {
        let part = weight(ix, column, dims.width, dims.columns);
        if part > 0.0 {
            for (var iy = lines.x; iy < lines.y; iy++) {
                let down = weight(iy, row, dims.height, dims.rows);
                sum += part * down * d_y[(plane + iy) * dims.columns + ix];
            }
        }
    }
    d_x[index] = sum;
}
