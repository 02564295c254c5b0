// needs: grid, trivial
// For each image and channel, what the bytes 0 to 255 become, y [batch, channels, 256]. x [batch, channels, pixels] are whole numbers
// from 0 to 255. A workgroup makes one table: its lanes count the values of the channel, and for the contrast those of the image.
struct Dims {
    planes: u32, // tables
    channels: u32,
    pixels: u32, // of an image
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const LANES: u32 = 64u;
const VALUES: u32 = 256u;

var<workgroup> counts: array<atomic<u32>, 256>;
var<workgroup> channel_sum: atomic<u32>;

// The sum of a channel's bytes by all lanes; below 2^32 for at most 2^24 pixels.
fn sum_of(local: u32, first: u32, pixels: u32) -> f32 {
    if local == 0u {
        atomicStore(&channel_sum, 0u);
    }
    workgroupBarrier();
    var sum = 0u;
    for (var pixel = local; pixel < pixels; pixel += LANES) {
        sum += u32(x[first + pixel]);
    }
    atomicAdd(&channel_sum, sum);
    workgroupBarrier();
    let total = f32(atomicLoad(&channel_sum));
    workgroupBarrier(); // before the next sum begins
    return total;
}

// The number of pixels with a value below `end`.
fn pixels_below(end: u32) -> u32 {
    var sum = 0u;
    for (var value = 0u; value < end; value++) {
        sum += atomicLoad(&counts[value]);
    }
    return sum;
}

// The smallest value that a pixel has.
fn least_value() -> u32 {
    for (var value = 0u; value < VALUES; value++) {
        if atomicLoad(&counts[value]) > 0u {
            return value;
        }
    }
    return VALUES - 1u;
}

// The largest value that a pixel has.
fn most_value() -> u32 {
    for (var value = VALUES - 1u; value > 0u; value--) {
        if atomicLoad(&counts[value]) > 0u {
            return value;
        }
    }
    return 0u;
}

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let local = invocation.local;
    let plane = linear_group(invocation.group, invocation.groups);
    let known = plane < dims.planes;
    let row = plane / dims.channels;
    let change = change_of(row);

    let counted = known && (change.kind == AUTO_CONTRAST || change.kind == EQUALIZE);
    for (var value = local; value < VALUES; value += LANES) {
        atomicStore(&counts[value], 0u);
    }
    workgroupBarrier();
    let own = plane * dims.pixels;
    for (var pixel = local; pixel < select(0u, dims.pixels, counted); pixel += LANES) {
        atomicAdd(&counts[u32(x[own + pixel])], 1u);
    }
    workgroupBarrier();

    let summed = select(0u, dims.pixels, known && change.kind == CONTRAST);
    var grey = 0.0;
    for (var channel = 0u; channel < dims.channels; channel++) {
        let share = select(1.0 / f32(dims.channels), GREY[min(channel, 2u)], dims.channels == 3u);
        grey += share * sum_of(local, (row * dims.channels + channel) * dims.pixels, summed) / f32(dims.pixels);
    }

    if known {
        let least = f32(least_value());
        let most = most_value();
        let stretch = WHITE / max(f32(most) - least, 1.0);
        let one_step = pixels_below(most) / (VALUES - 1u);
        for (var byte = local; byte < VALUES; byte += LANES) {
            let value = f32(byte);
            var seen = value;
            if change.kind == BRIGHTNESS {
                seen = to_white(change.factor * value);
            } else if change.kind == CONTRAST {
                seen = to_white(grey + change.factor * (value - grey));
            } else if change.kind == POSTERIZE {
                let bits = (change.level + 2u) / 5u;
                seen = f32((byte >> bits) << bits);
            } else if change.kind == SOLARIZE {
                seen = select(value, WHITE - value, value >= WHITE - 8.5 * f32(change.level));
            } else if change.kind == AUTO_CONTRAST {
                seen = select(value, to_white((value - least) * stretch), f32(most) > least);
            } else if change.kind == EQUALIZE && one_step > 0u {
                seen = f32(min((pixels_below(byte) + one_step / 2u) / one_step, VALUES - 1u));
            }
            y[plane * VALUES + byte] = seen;
        }
    }
}
