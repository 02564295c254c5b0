// needs: grid
// The gradient of a resize by its images, DX [planes, height, width], from DY [planes, rows, columns]. Each pixel sums DY over
// the pixels of the result that read it, times its weight in them. One invocation for each pixel of DX.
struct Dims {
    count: u32,
    height: u32, // of X
    width: u32,
    rows: u32,   // of Y
    columns: u32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> d_y: array<f32>;
@group(0) @binding(2) var<storage, read_write> d_x: array<f32>;

const BILINEAR: bool = false; // the nearest pixel, or four pixels' mean by distance
const EDGES: bool = true;     // whether the last workgroup runs past the end

// Along one axis, for pixel `place` of the result: the source pixel before it, the one after it, and the weight of the
// latter.
struct Sources {
    before: u32,
    after: u32,
    rest: f32,
}

fn sources_of(place: u32, source_length: u32, length: u32) -> Sources {
    if BILINEAR {
        // (place + 1/2) source_length / length - 1/2, at least 0, as a fraction with denominator 2 length.
        let at = max((2u * place + 1u) * source_length, length) - length;
        let before = at / (2u * length);
        return Sources(before, min(before + 1u, source_length - 1u), f32(at % (2u * length)) / f32(2u * length));
    }
    let scale = f32(source_length) / f32(length);
    let nearest = min(u32(floor(f32(place) * scale)), source_length - 1u);
    return Sources(nearest, nearest, 0.0);
}

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

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let index = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    if EDGES {
        if index >= dims.count {
            return;
        }
    }
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
