// needs: augment, augment_more, sine_cosine
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
    perspective: f32, // half the fraction of the image by which its corners move
}
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

const RANDOM: bool = true;     // whether anything is drawn
const PLACED: bool = true;     // whether the words of crop and cutout are used
const STRETCHED: bool = true;  // whether those of contrast and the affine map are
const REFLECT: bool = false;   // what stands beyond the edge
const AFFINE: bool = true;
const WARPED: bool = false;    // whether there is a perspective
const CUTOUT: bool = true;


struct Drawn {
    flip: bool,
    upside_down: bool,
    corner: vec2i,  // row and column
    hole: vec2i,
    brightness: f32,
    contrast: f32,
    inverse: vec4f, // row by row, for offsets (x, y) from the middle
    is_warped: bool,
    perspective: mat3x3f, // transposed, for places (x, y, 1) as fractions of the image
}

fn below(word: u32, count: u32) -> i32 {
    return i32(multiply_high(word, count));
}

fn between(word: u32, low: f32, span: f32) -> f32 {
    return low + span * (f32(word >> 8u) * (1.0 / 16777216.0));
}

// The inverse of a shear, then a rotation, then a scaling.
fn inverse_map(angle: f32, scale: f32, shear: f32) -> vec4f {
    let turn = sine_cosine(angle);
    let slanted = sine_cosine(shear);
    let slant = slanted.x / slanted.y;
    return vec4f(turn.y + slant * turn.x, turn.x - slant * turn.y, -turn.x, turn.y) / scale;
}

fn moved(words: vec4u) -> vec4f {
    return dims.perspective * vec4f(unit(words.x), unit(words.y), unit(words.z), unit(words.w));
}

// The map from the result to the image, whose corners move inwards: see src/ops/augment/draw.rs.
fn perspective_map(row: u32) -> mat3x3f {
    let upper = moved(more_words(PERSPECTIVE, row));
    let lower = moved(more_words(PERSPECTIVE + 1u, row));
    let x = vec4f(upper.x, 1.0 - upper.z, 1.0 - lower.x, lower.z);
    let y = vec4f(upper.y, upper.w, 1.0 - lower.y, 1.0 - lower.w);
    let sums = vec2f(x.x - x.y + x.z - x.w, y.x - y.y + y.z - y.w);
    let first = vec2f(x.y - x.z, y.y - y.z);
    let second = vec2f(x.w - x.z, y.w - y.z);
    let area = first.x * second.y - second.x * first.y;
    let g = (sums.x * second.y - second.x * sums.y) / area;
    let h = (first.x * sums.y - sums.x * first.y) / area;
    let a = x.y - x.x + g * x.y;
    let b = x.w - x.x + h * x.w;
    let c = x.x;
    let d = y.y - y.x + g * y.y;
    let e = y.w - y.x + h * y.w;
    let f = y.x;
    return mat3x3f(
        vec3f(e - f * h, c * h - b, b * f - c * e),
        vec3f(f * g - d, a - c * g, c * d - a * f),
        vec3f(d * h - e * g, b * g - a * h, a * e - b * d),
    );
}

fn draw(row: u32, image: u32) -> Drawn {
    let seed = vec2u(step.seed_low, step.seed_high);
    let room = vec2u(dims.height - dims.out_height, dims.width - dims.out_width);
    let middle = vec2i(room / 2u) + bitcast<i32>(dims.translate);
    let identity = mat3x3f(vec3f(1.0, 0.0, 0.0), vec3f(0.0, 1.0, 0.0), vec3f(0.0, 0.0, 1.0));
    var drawn = Drawn(FLIP == 3u, false, middle, vec2i(0), 1.0, 1.0, vec4f(1.0, 0.0, 0.0, 1.0), false, identity);
    if RANDOM {
        let words = philox(vec4u(0u, row + step.row_offset, step.number, PURPOSE_AUGMENT), seed);
        let by = i32(dims.translate);
        drawn.corner = vec2i(below(words.y, 2u * dims.translate + 1u), below(words.z, 2u * dims.translate + 1u)) - by;
        drawn.brightness = between(words.w, 1.0 - dims.brightness, 2.0 * dims.brightness);
        drawn.flip = is_mirrored(words.x, image);
        drawn.upside_down = is_upside_down(words.x);
        if PLACED {
            let places = philox(vec4u(1u, row + step.row_offset, step.number, PURPOSE_AUGMENT), seed);
            drawn.corner += vec2i(below(places.x, room.x + 1u), below(places.y, room.y + 1u));
            let middle = vec2i(below(places.z, dims.out_height), below(places.w, dims.out_width));
            drawn.hole = middle - i32(dims.cutout / 2u);
        }
        if STRETCHED {
            let more = philox(vec4u(2u, row + step.row_offset, step.number, PURPOSE_AUGMENT), seed);
            drawn.contrast = between(more.x, 1.0 - dims.contrast, 2.0 * dims.contrast);
            let angle = between(more.y, -dims.rotate, 2.0 * dims.rotate);
            let scale = between(more.z, dims.scale_low, dims.scale_span);
            let shear = between(more.w, -dims.shear, 2.0 * dims.shear);
            // The flips use only the two highest bits.
            if (words.x & 0xffffffu) < dims.chance {
                drawn.inverse = inverse_map(angle, scale, shear);
            }
        }
        if WARPED {
            drawn.is_warped = (words.x & 0xffffffu) < dims.chance;
            drawn.perspective = perspective_map(row);
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

fn mapped(shard: u32, first: u32, at: vec2i, drawn: Drawn) -> f32 {
    if !AFFINE && !WARPED {
        return pixel(shard, first, at);
    }
    let inverse = drawn.inverse;
    let middle = 0.5 * (vec2f(f32(dims.height), f32(dims.width)) - 1.0);
    let offset = vec2f(at) - middle; // (y, x)
    var place = middle + vec2f(inverse.z * offset.y + inverse.w * offset.x, inverse.x * offset.y + inverse.y * offset.x);
    if WARPED {
        let size = vec2f(vec2u(max(dims.height, 2u), max(dims.width, 2u)) - 1u);
        let seen = vec3f(place.y / size.y, place.x / size.x, 1.0) * drawn.perspective;
        place = select(place, size * seen.yx / seen.z, drawn.is_warped);
    }
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
            let down = select(strip.down, dims.out_height - 1u - strip.down, drawn.upside_down);
            let at = vec2i(i32(down), i32(column)) + drawn.corner;
            var value = gain * mapped(strip.shard, first, at, drawn) + lift;
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
