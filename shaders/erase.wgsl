// needs: each, augment_more, rectangles
// y = images x [batch, channels, height, width] with a rectangle covered by the channel's value; 0 for masked rows. `roots` draws the
// rectangle, fills [channels] are these values. One invocation copies four neighbouring pixels of a row.
struct Dims {
    count: u32, // invocations
    channels: u32,
    height: u32,
    width: u32,
    chance: u32, // of 2^24
}
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> fills: array<f32>;
@group(0) @binding(3) var<storage, read> roots: array<f32>; // [3, 1024]: of areas, of proportions, of their inverses
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

// Top, left, height and width; the height is 0 for an image that stays as it is.
fn erased(row: u32) -> vec4u {
    if (more_words(ERASED, row).x >> 8u) >= dims.chance {
        return vec4u(0u);
    }
    let image = vec2u(dims.height, dims.width);
    for (var attempt = 0u; attempt < TRIES; attempt++) {
        let found = rectangle(more_words(ERASED + 1u + attempt, row), image, image - 1u);
        if found.z > 0u {
            return found;
        }
    }
    return vec4u(0u);
}

fn each(index: u32) {
    let strips = (dims.width + 3u) / 4u;
    let left = 4u * (index % strips);
    let down = (index / strips) % dims.height;
    let plane = index / (strips * dims.height);
    let row = plane / dims.channels;
    let hole = erased(row);
    let first = (plane * dims.height + down) * dims.width;
    for (var i = 0u; i < 4u; i++) {
        // Beyond the end of a row the last pixel is copied again.
        let across = min(left + i, dims.width - 1u);
        let inside = vec2u(down, across) - hole.xy; // wraps around above and left of the hole
        let seen = select(x[first + across], fills[plane % dims.channels], all(inside < hole.zw));
        y[first + across] = select(0.0, seen, row < step.valid);
    }
}
