// needs: augment, rectangles
// y[row] = a random crop of the image with index order[step.first + row], resized to the size of the result; 0 for masked
// rows. The crop's area, aspect ratio and position are drawn at random.
// x [N, CHANNELS, height, width], bytes (four in a word) or floats, in one binding or several shards (the host adds their
// bindings) or a ring of slots; y [batch, CHANNELS, out_height, out_width].
//
// The crop consists of whole pixels. Its sides are products of integers from a table, so that every device draws the same
// crop. An antialiased bilinear filter resizes it: a pixel of the result is the weighted mean of the crop's pixels. The
// weights form a triangle around the pixel's centre. Half its base is the width of a pixel of the result or of the crop,
// whichever is larger. Then the result is mirrored, changed in brightness, contrast and saturation, and normalised. All
// draws are functions of seed, step and row: the same words as in src/ops/augment.
//
// One invocation computes four neighbouring pixels of a row in all channels, so that they share the random numbers.
struct Dims {
    count: u32,       // invocations
    height: u32,      // of an image
    width: u32,
    out_height: u32,  // of the result
    out_width: u32,
    rows: u32,        // of the data
    each: u32,        // rows of a shard
    listed: u32,      // length of the order
    fall_top: u32,    // the crop to use if no draw fits
    fall_left: u32,
    fall_height: u32,
    fall_width: u32,
    brightness: f32,
    contrast: f32,
    saturation: f32,
}
@group(0) @binding(4) var<storage, read> roots: array<f32>;    // [3, 1024]: of areas, of proportions, of their inverses
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

const CHANNELS: u32 = 3u;
const SATURATED: bool = true; // whether colours are drawn towards their grey

const FIRST_TRY: u32 = 4u;  // the block of the first draw of a part
const SATURATION: u32 = 14u;
const GREY: array<f32, 3> = array<f32, 3>(0.299, 0.587, 0.114); // ITU-R BT.601

fn drawn(block: u32, row: u32) -> vec4u {
    return philox(vec4u(block, row + step.row_offset, step.number, PURPOSE_AUGMENT), vec2u(step.seed_low, step.seed_high));
}

fn around(word: u32, by: f32) -> f32 {
    return 1.0 - by + 2.0 * by * (f32(word >> 8u) * (1.0 / 16777216.0));
}

// Top, left, height and width of the crop of a row.
fn part_of(row: u32) -> vec4u {
    for (var attempt = 0u; attempt < TRIES; attempt++) {
        let image = vec2u(dims.height, dims.width);
        let found = rectangle(drawn(FIRST_TRY + attempt, row), image, image);
        if found.z > 0u {
            return found;
        }
    }
    return vec4u(dims.fall_top, dims.fall_left, dims.fall_height, dims.fall_width);
}

// The pixels along one side of the crop from which pixel `at` of `outs` is computed.
struct Taps {
    first: u32,
    end: u32,
    middle: u32,   // the pixel that contains the triangle's middle
    within: f32,   // position of the middle in that pixel
    inverse: f32,  // 1 / half the triangle's base
}

fn taps(at: u32, size: u32, outs: u32) -> Taps {
    // In integers, so that it is exact.
    let middle = size * (2u * at + 1u) / (2u * outs);
    let within = f32(size * (2u * at + 1u) % (2u * outs)) / f32(2u * outs);
    let reach = (size + outs - 1u) / outs;
    let inverse = min(f32(outs) / f32(size), 1.0);
    return Taps(middle - min(reach, middle), min(middle + reach + 1u, size), middle, within, inverse);
}

fn weight(along: Taps, at: u32) -> f32 {
    return max(1.0 - abs(f32(i32(at) - i32(along.middle)) + 0.5 - along.within) * along.inverse, 0.0);
}

fn each(index: u32) {
    let strip = strip_of(index);
    let plane = dims.height * dims.width;
    let first = strip.within * CHANNELS * plane;

    let part = part_of(strip.row);
    let words = drawn(0u, strip.row);
    let mirrored = is_mirrored(words.x, strip.image);
    let contrast = around(drawn(2u, strip.row).x, dims.contrast);
    let gain = around(words.w, dims.brightness) * contrast;
    var saturation = 1.0;
    if SATURATED {
        saturation = around(drawn(SATURATION, strip.row).x, dims.saturation);
    }
    let upside_down = is_upside_down(words.x);
    let rows = taps(select(strip.down, dims.out_height - 1u - strip.down, upside_down), part.z, dims.out_height);
    for (var i = 0u; i < 4u; i++) {
        let x = min(strip.left + i, dims.out_width - 1u);
        let columns = taps(select(x, dims.out_width - 1u - x, mirrored), part.w, dims.out_width);
        // With a value: Chromium sets a variable in a loop without one to zero only once.
        var sums = array<f32, CHANNELS>();
        var total = 0.0;
        for (var r = rows.first; r < rows.end; r++) {
            let by_row = weight(rows, r);
            for (var c = columns.first; c < columns.end; c++) {
                let w = by_row * weight(columns, c);
                total += w;
                let at = first + (part.x + r) * dims.width + part.y + c;
                for (var channel = 0u; channel < CHANNELS; channel++) {
                    sums[channel] += w * value_at(strip.shard, at + channel * plane);
                }
            }
        }
        var grey = 0.0;
        for (var channel = 0u; channel < CHANNELS; channel++) {
            let pivot = levels[channel].z;
            sums[channel] = gain * (sums[channel] / total) + (pivot - pivot * contrast);
            if SATURATED {
                grey += GREY[channel] * sums[channel];
            }
        }
        for (var channel = 0u; channel < CHANNELS; channel++) {
            let level = levels[channel];
            let seen = ((grey + saturation * (sums[channel] - grey)) - level.x) * level.y;
            // Beyond the end of a row the last pixel is computed again.
            let to = ((strip.row * CHANNELS + channel) * dims.out_height + strip.down) * dims.out_width + x;
            y[to] = select(0.0, seen, strip.valid);
        }
    }
}
