// needs: each, step, philox
// y[row] = the image x[row] with thicker or thinner strokes, and with noise; 0 for masked rows.
// x, y [batch, channels, height, width]. levels [channels]: the second component is 1 / the divisor of the channel's
// normalisation.
//
// A pixel moves towards the maximum or the minimum of the 3x3 pixels around it, by the same fraction in the whole image. The
// noise is the sum of a random word's four bytes, minus its mean, divided by its standard deviation. This is nearly Gaussian
// and the same on every device, which a logarithm is not. All random numbers depend only on seed, step and row, with the
// same words as in src/ops/augment/roughen.rs.
//
// One invocation computes four neighbouring pixels of a row, which share the random words.
struct Dims {
    count: u32,    // invocations
    channels: u32,
    height: u32,
    width: u32,
    stroke: f32,
    noise: f32,    // divided by the standard deviation of the sum of four bytes
}
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> levels: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

const STROKE: bool = true;
const NOISE: bool = true;

const PURPOSE_AUGMENT: u32 = 3u;
const DRAWN: u32 = 15u;       // the block of an image's own draws
const FIRST_NOISE: u32 = 16u; // the block of its first four pixels

fn words_of(block: u32, row: u32) -> vec4u {
    return philox(vec4u(block, row + step.row_offset, step.number, PURPOSE_AUGMENT), vec2u(step.seed_low, step.seed_high));
}

fn unit(word: u32) -> f32 {
    return f32(word >> 8u) * (1.0 / 16777216.0);
}

// The sum of a word's bytes, minus its mean.
fn bytes_of(word: u32) -> f32 {
    let pairs = (word & 0x00ff00ffu) + ((word >> 8u) & 0x00ff00ffu);
    return f32((pairs & 0xffffu) + (pairs >> 16u)) - 510.0;
}

fn each(index: u32) {
    let strips = (dims.width + 3u) / 4u;
    let left = 4u * (index % strips);
    let down = (index / strips) % dims.height;
    let plane = index / (strips * dims.height);
    let channel = plane % dims.channels;
    let row = plane / dims.channels;
    let first = plane * dims.height * dims.width;
    let row_start = first + down * dims.width;
    // Pixels beyond the edge repeat the edge, which changes no maximum and no minimum.
    let above = first + (max(down, 1u) - 1u) * dims.width;
    let under = first + min(down + 1u, dims.height - 1u) * dims.width;

    let draws = words_of(DRAWN, row);
    let part = dims.stroke * (2.0 * unit(draws.x) - 1.0);
    let deviation = dims.noise * unit(draws.y) * levels[channel].y;
    var words = vec4u(0u);
    if NOISE {
        words = words_of(FIRST_NOISE + index - row * (dims.channels * dims.height * strips), row);
    }
    for (var i = 0u; i < 4u; i++) {
        // Beyond the end of a row the last pixel is computed again.
        let column = min(left + i, dims.width - 1u);
        var value = x[row_start + column];
        if STROKE {
            var low = value;
            var high = value;
            for (var c = 0u; c < 3u; c++) {
                let beside = clamp(column + c, 1u, dims.width) - 1u;
                let three = vec3f(x[above + beside], x[row_start + beside], x[under + beside]);
                low = min(low, min(min(three.x, three.y), three.z));
                high = max(high, max(max(three.x, three.y), three.z));
            }
            value += abs(part) * (select(low, high, part > 0.0) - value);
        }
        if NOISE {
            value += deviation * bytes_of(words[column - left]);
        }
        y[row_start + column] = select(0.0, value, row < step.valid);
    }
}
