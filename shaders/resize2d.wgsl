// needs: grid
// Resizes images X [planes, height, width] to Y [planes, rows, columns]. One invocation for each pixel of Y.
struct Dims {
    count: u32,
    height: u32, // of X
    width: u32,
    rows: u32,   // of Y
    columns: u32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

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

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let index = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    if EDGES {
        if index >= dims.count {
            return;
        }
    }
    let down = sources_of((index / dims.columns) % dims.rows, dims.height, dims.rows);
    let across = sources_of(index % dims.columns, dims.width, dims.columns);
    let plane = (index / (dims.columns * dims.rows)) * dims.height;
    let above = (plane + down.before) * dims.width;
    if BILINEAR {
        let under = (plane + down.after) * dims.width;
        let upper = mix(x[above + across.before], x[above + across.after], across.rest);
        let lower = mix(x[under + across.before], x[under + across.after], across.rest);
        y[index] = mix(upper, lower, down.rest);
    } else {
        y[index] = x[above + across.before];
    }
}
