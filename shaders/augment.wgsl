// needs: grid, step, philox
// y[row] = the image with index order[step.first + row], augmented and normalised for the network; 0 for masked rows.
// x [N, channels, height, width], bytes (four in a word) or floats, in one binding or several shards (the host adds their
// bindings) or a ring of slots; y [batch, channels, out_height, out_width].
//
// For a pixel of the result, its position is mirrored, shifted by the drawn corner and mapped by the inverse of the drawn
// affine map. The image is read there (bilinear unless the map is the identity). The value is then multiplied and shifted
// with levels, and replaced if it is inside the cutout square. All random numbers depend only on seed, step and row, with
// the same words as in src/ops/augment/draw.rs.
//
// One invocation computes four neighbouring pixels of a row in all channels, so that they share the random numbers.
struct Dims {
    count: u32,      // invocations
    channels: u32,
    height: u32,     // of an image
    width: u32,
    out_height: u32, // of the result
    out_width: u32,
    rows: u32,       // of the data
    each: u32,       // rows of a shard
    listed: u32,     // length of the order
    translate: u32,  // without random numbers an i32: the shift of the image
    cutout: u32,
    chance: u32,     // of 2^24, of the affine map
    brightness: f32,
    contrast: f32,
    rotate: f32,     // radians
    shear: f32,
    scale_low: f32,
    scale_span: f32,
}
alias Stored = u32;
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> data: array<Stored>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> levels: array<vec4f>; // a channel's mean, 1 / deviation, pivot of contrast, cover
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

const EDGES: bool = true;      // whether the last workgroup runs past the end
const BYTES: bool = true;      // whether images are bytes
const RING: bool = false;      // whether the data are a ring
const RANDOM: bool = true;     // whether anything is drawn
const FLIP: u32 = 1u;          // never, at random, in turn by epoch, always
const PLACED: bool = true;     // whether the words of crop and cutout are used
const STRETCHED: bool = true;  // whether those of contrast and the affine map are
const REFLECT: bool = false;   // what stands beyond the edge
const AFFINE: bool = true;
const CUTOUT: bool = true;

const PURPOSE_AUGMENT: u32 = 3u;
const ALTERNATE: u32 = 3u; // the block that says which images are mirrored in even epochs

fn stored_at(shard: u32, index: u32) -> Stored { return data[index]; } // spliced

struct Drawn {
    flip: bool,
    corner: vec2i,  // row and column
    hole: vec2i,
    brightness: f32,
    contrast: f32,
    inverse: vec4f, // row by row, for offsets (x, y) from the middle
}

fn below(word: u32, count: u32) -> i32 {
    return i32(multiply_high(word, count));
}

fn between(word: u32, low: f32, span: f32) -> f32 {
    return low + span * (f32(word >> 8u) * (1.0 / 16777216.0));
}

// Sine and cosine of an angle from -pi to pi: the series for a quarter of the angle, then the angle is doubled twice. The
// built-in functions may have an error of 2^-11.
fn sine_cosine(angle: f32) -> vec2f {
    let q = 0.25 * angle;
    let s = q * q;
    let sine = q * (1.0 - s / 6.0 * (1.0 - s / 20.0 * (1.0 - s / 42.0 * (1.0 - s / 72.0))));
    let cosine = 1.0 - 0.5 * s * (1.0 - s / 12.0 * (1.0 - s / 30.0 * (1.0 - s / 56.0)));
    let twice = vec2f(2.0 * sine * cosine, 1.0 - 2.0 * sine * sine);
    return vec2f(2.0 * twice.x * twice.y, 1.0 - 2.0 * twice.x * twice.x);
}

// The inverse of a shear, then a rotation, then a scaling.
fn inverse_map(angle: f32, scale: f32, shear: f32) -> vec4f {
    let turn = sine_cosine(angle);
    let slanted = sine_cosine(shear);
    let slant = slanted.x / slanted.y;
    return vec4f(turn.y + slant * turn.x, turn.x - slant * turn.y, -turn.x, turn.y) / scale;
}

fn draw(row: u32, image: u32) -> Drawn {
    let seed = vec2u(step.seed_low, step.seed_high);
    let room = vec2u(dims.height - dims.out_height, dims.width - dims.out_width);
    let middle = vec2i(room / 2u) + bitcast<i32>(dims.translate);
    var drawn = Drawn(FLIP == 3u, middle, vec2i(0), 1.0, 1.0, vec4f(1.0, 0.0, 0.0, 1.0));
    if RANDOM {
        let words = philox(vec4u(0u, row, step.number, PURPOSE_AUGMENT), seed);
        let by = i32(dims.translate);
        drawn.corner = vec2i(below(words.y, 2u * dims.translate + 1u), below(words.z, 2u * dims.translate + 1u)) - by;
        drawn.brightness = between(words.w, 1.0 - dims.brightness, 2.0 * dims.brightness);
        if FLIP == 1u {
            drawn.flip = (words.x >> 31u) == 1u;
        }
        if FLIP == 2u {
            let word = philox(vec4u(ALTERNATE, image, 0u, PURPOSE_AUGMENT), seed).x;
            drawn.flip = ((word >> 31u) ^ (step.epoch & 1u)) == 1u;
        }
        if PLACED {
            let places = philox(vec4u(1u, row, step.number, PURPOSE_AUGMENT), seed);
            drawn.corner += vec2i(below(places.x, room.x + 1u), below(places.y, room.y + 1u));
            let middle = vec2i(below(places.z, dims.out_height), below(places.w, dims.out_width));
            drawn.hole = middle - i32(dims.cutout / 2u);
        }
        if STRETCHED {
            let more = philox(vec4u(2u, row, step.number, PURPOSE_AUGMENT), seed);
            drawn.contrast = between(more.x, 1.0 - dims.contrast, 2.0 * dims.contrast);
            let angle = between(more.y, -dims.rotate, 2.0 * dims.rotate);
            let scale = between(more.z, dims.scale_low, dims.scale_span);
            let shear = between(more.w, -dims.shear, 2.0 * dims.shear);
            // The flip uses only the highest bit.
            if (words.x & 0xffffffu) < dims.chance {
                drawn.inverse = inverse_map(angle, scale, shear);
            }
        }
    }
    return drawn;
}

// An index outside 0..size, mirrored at the ends.
fn reflected(index: i32, size: u32) -> i32 {
    let last = i32(size) - 1;
    let period = max(2 * last, 1);
    let turned = ((index % period) + period) % period;
    return clamp(min(turned, period - turned), 0, last);
}

// The image's value at row and column `at` of the plane that begins at `first`. Pixels outside are loaded too and then
// dropped, because a conditional load costs more than a load.
fn pixel(shard: u32, first: u32, at: vec2i) -> f32 {
    let last = vec2i(i32(dims.height), i32(dims.width)) - 1;
    var place = clamp(at, vec2i(0), last);
    if REFLECT {
        place = vec2i(reflected(at.x, dims.height), reflected(at.y, dims.width));
    }
    let index = first + u32(place.x) * dims.width + u32(place.y);
    var value = 0.0;
    if BYTES {
        value = unpack4x8unorm(stored_at(shard, index / 4u))[index % 4u];
    } else {
        value = bitcast<f32>(stored_at(shard, index));
    }
    return select(0.0, value, REFLECT || all(place == at));
}

fn mapped(shard: u32, first: u32, at: vec2i, inverse: vec4f) -> f32 {
    if !AFFINE {
        return pixel(shard, first, at);
    }
    let middle = 0.5 * (vec2f(f32(dims.height), f32(dims.width)) - 1.0);
    let offset = vec2f(at) - middle; // (y, x)
    let place = middle + vec2f(inverse.z * offset.y + inverse.w * offset.x, inverse.x * offset.y + inverse.y * offset.x);
    let corner = floor(place);
    let part = place - corner;
    let near = vec2i(corner);
    let above = mix(pixel(shard, first, near), pixel(shard, first, near + vec2i(0, 1)), part.y);
    let under = mix(pixel(shard, first, near + vec2i(1, 0)), pixel(shard, first, near + vec2i(1, 1)), part.y);
    return mix(above, under, part.x);
}

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let index = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    if EDGES {
        if index >= dims.count {
            return;
        }
    }
    let strips = (dims.out_width + 3u) / 4u;
    let left = 4u * (index % strips);
    let down = (index / strips) % dims.out_height;
    let row = index / (strips * dims.out_height);
    // Masked rows read the first listed image and drop it.
    let position = step.first + row;
    let valid = row < step.valid && position < dims.listed;
    let image = order[select(0u, position, valid)];
    let picked = min(select(image, position % dims.rows, RING), dims.rows - 1u);
    let shard = picked / dims.each;
    let drawn = draw(row, image);
    for (var channel = 0u; channel < dims.channels; channel++) {
        let first = (picked % dims.each * dims.channels + channel) * dims.height * dims.width;
        let level = levels[channel];
        let gain = drawn.brightness * drawn.contrast * level.y;
        let lift = (level.z - level.z * drawn.contrast - level.x) * level.y;
        let to = ((row * dims.channels + channel) * dims.out_height + down) * dims.out_width;
        for (var i = 0u; i < 4u; i++) {
            let x = min(left + i, dims.out_width - 1u);
            let column = select(x, dims.out_width - 1u - x, drawn.flip);
            let at = vec2i(i32(down), i32(column)) + drawn.corner;
            var value = gain * mapped(shard, first, at, drawn.inverse) + lift;
            if CUTOUT {
                let inside = vec2i(i32(down), i32(x)) - drawn.hole;
                let side = vec2i(i32(dims.cutout));
                value = select(value, level.w, all(inside >= vec2i(0)) && all(inside < side));
            }
            // Beyond the end of a row the last pixel is computed again.
            y[to + x] = select(0.0, value, valid);
        }
    }
}
