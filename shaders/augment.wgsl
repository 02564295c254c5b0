// needs: augment
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
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

const RANDOM: bool = true;     // whether anything is drawn
const PLACED: bool = true;     // whether the words of crop and cutout are used
const STRETCHED: bool = true;  // whether those of contrast and the affine map are
const REFLECT: bool = false;   // what stands beyond the edge
const AFFINE: bool = true;
const CUTOUT: bool = true;


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
        drawn.flip = is_mirrored(words.x, image);
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
    return select(0.0, value_at(shard, index), REFLECT || all(place == at));
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

fn each(index: u32) {
    let strip = strip_of(index);
    let drawn = draw(strip.row, strip.image);
    for (var channel = 0u; channel < dims.channels; channel++) {
        let first = (strip.within * dims.channels + channel) * dims.height * dims.width;
        let level = levels[channel];
        let gain = drawn.brightness * drawn.contrast * level.y;
        let lift = (level.z - level.z * drawn.contrast - level.x) * level.y;
        let to = ((strip.row * dims.channels + channel) * dims.out_height + strip.down) * dims.out_width;
        for (var i = 0u; i < 4u; i++) {
            let x = min(strip.left + i, dims.out_width - 1u);
            let column = select(x, dims.out_width - 1u - x, drawn.flip);
            let at = vec2i(i32(strip.down), i32(column)) + drawn.corner;
            var value = gain * mapped(strip.shard, first, at, drawn.inverse) + lift;
            if CUTOUT {
                let inside = vec2i(i32(strip.down), i32(x)) - drawn.hole;
                let side = vec2i(i32(dims.cutout));
                value = select(value, level.w, all(inside >= vec2i(0)) && all(inside < side));
            }
            // Beyond the end of a row the last pixel is computed again.
            y[to + x] = select(0.0, value, strip.valid);
        }
    }
}
