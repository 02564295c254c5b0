// needs: each, trivial, sine_cosine
// y = images x [batch, CHANNELS, height, width] with the change that each one gets, normalised; 0 for masked rows. x are whole numbers from
// 0 to 255, tables [batch, CHANNELS, 256] say what they become where a change is of a value by itself, levels are a channel's mean and
// 1 / standard deviation. One invocation computes all channels of a pixel. The same as src/ops/augment/trivial/apply.rs.
struct Dims {
    count: u32, // pixels of all images
    height: u32,
    width: u32,
}
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> tables: array<f32>;
@group(0) @binding(3) var<storage, read> levels: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

const CHANNELS: u32 = 3u;

// The value of a pixel of the plane that starts at `first`; 0 outside the image. Indices are signed.
fn byte_at(first: u32, down: i32, across: i32) -> f32 {
    let height = i32(dims.height);
    let width = i32(dims.width);
    let inside = down >= 0 && down < height && across >= 0 && across < width;
    let within = clamp(down, 0, height - 1) * width + clamp(across, 0, width - 1);
    return select(0.0, x[first + u32(within)], inside);
}

// The value at a place (x, y) between pixels.
fn between(first: u32, place: vec2f) -> f32 {
    let corner = floor(place);
    let part = place - corner;
    // Far outside, the integer would overflow.
    let near = vec2i(clamp(corner, vec2f(-2.0), vec2f(f32(dims.width), f32(dims.height))));
    let upper = mix(byte_at(first, near.y, near.x), byte_at(first, near.y, near.x + 1), part.x);
    let lower = mix(byte_at(first, near.y + 1, near.x), byte_at(first, near.y + 1, near.x + 1), part.x);
    return mix(upper, lower, part.y);
}

// The place (x, y) from which a pixel is taken.
fn place_of(change: Change, pixel: vec2f) -> vec2f {
    switch change.kind {
        case SHEAR_X: {
            return vec2f(pixel.x + 0.99 * change.share * (pixel.y + 0.5), pixel.y);
        }
        case SHEAR_Y: {
            return vec2f(pixel.x, pixel.y + 0.99 * change.share * (pixel.x + 0.5));
        }
        case TRANSLATE_X: {
            return vec2f(pixel.x - change.moved, pixel.y);
        }
        case TRANSLATE_Y: {
            return vec2f(pixel.x, pixel.y - change.moved);
        }
        default: {
            let turn = sine_cosine(2.3561945 * change.share); // 135 degrees
            let middle = 0.5 * vec2f(f32(dims.width - 1u), f32(dims.height - 1u));
            let offset = pixel - middle;
            return middle + vec2f(turn.y * offset.x - turn.x * offset.y, turn.x * offset.x + turn.y * offset.y);
        }
    }
}

// The mean of a pixel and its eight neighbours; the pixel has the weight 5.
fn blurred(first: u32, down: i32, across: i32) -> f32 {
    var sum = 4.0 * byte_at(first, down, across);
    for (var i = -1; i <= 1; i++) {
        for (var j = -1; j <= 1; j++) {
            sum += byte_at(first, down + i, across + j);
        }
    }
    return sum / 13.0;
}

fn each(index: u32) {
    let plane = dims.height * dims.width;
    let row = index / plane;
    let within = index % plane;
    let down = within / dims.width;
    let across = within % dims.width;
    let change = change_of(row);
    let moves = change.kind >= SHEAR_X && change.kind <= ROTATE;
    let is_inner = min(dims.height, dims.width) > 2u && min(down, across) > 0u && down + 1u < dims.height && across + 1u < dims.width;
    let first = row * CHANNELS * plane;
    var grey = 0.0;
    if CHANNELS == 3u {
        grey = dot(GREY, vec3f(x[first + within], x[first + plane + within], x[first + 2u * plane + within]));
    }
    for (var channel = 0u; channel < CHANNELS; channel++) {
        let start = first + channel * plane;
        let own = x[start + within];
        var seen = tables[(row * CHANNELS + channel) * 256u + u32(own)];
        if moves {
            seen = between(start, place_of(change, vec2f(f32(across), f32(down))));
        } else if change.kind == COLOUR && CHANNELS == 3u {
            seen = to_white(grey + change.factor * (own - grey));
        } else if change.kind == SHARPNESS && is_inner {
            let soft = blurred(start, i32(down), i32(across));
            seen = to_white(soft + change.factor * (own - soft));
        }
        let level = levels[channel];
        y[start + within] = select(0.0, (seen / WHITE - level.x) * level.y, row < step.valid);
    }
}
