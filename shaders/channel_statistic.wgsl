// needs: grid, step, total
// A sum for each channel of A [batch, channels, pixels], over the valid rows and all pixels. The summands are A, or
// (A - MEAN)^2, or A (B - MEAN) / sqrt(VARIANCE + epsilon). MEAN and VARIANCE are [channels]. With the constant MEAN the sum
// is divided by the number of its elements.
//
// One workgroup of 64 lanes for each channel, or for each of its pieces, which are runs of its elements in order. Every lane
// adds each 64th element, then the lanes are added in pairs. SUMS is [channels, pieces]; a second dispatch adds the pieces.
// A value is a vec4 of pixels if the number of pixels is a multiple of four.
struct Dims {
    channels: u32,
    values: u32, // of a channel of an image
    batch: u32,
    pieces: u32,
    run: u32,    // values of a piece; the last may have fewer
    pixels: u32, // of a channel of an image
    epsilon: f32,
}
alias Value = f32;

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> a: array<Value>;
@group(0) @binding(2) var<storage, read> b: array<Value>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;     // unused for the sum of A
@group(0) @binding(4) var<storage, read> variance: array<f32>; // unused but for the last
@group(0) @binding(5) var<storage, read_write> sums: array<f32>;

const WHAT: u32 = 0u;      // 0: A; 1: (A - MEAN)^2; 2: A (B - MEAN), over the standard deviation
const MEAN: bool = false;
const WHOLE: bool = false; // whether a channel is one piece

fn added(value: Value) -> f32 { return value; }

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let local = invocation.local;
    let number = linear_group(invocation.group, invocation.groups);
    let channel = min(number / dims.pieces, dims.channels - 1u);
    let piece = number % dims.pieces;
    let valid = min(step.valid, dims.batch);
    let last = min((piece + 1u) * dims.run, valid * dims.values);
    var middle = 0.0;
    if WHAT != 0u {
        middle = mean[channel];
    }
    let first = piece * dims.run + local;
    // The image and the position in it. A step of 64 values is added to both, so that the loop needs no division.
    var image = first / dims.values;
    var within = first % dims.values;
    let images = 64u / dims.values;
    let further = 64u % dims.values;
    var sum = Value();
    for (var i = first; i < last; i += 64u) {
        let place = (image * dims.channels + channel) * dims.values + within;
        image += images;
        within += further;
        if within >= dims.values {
            within -= dims.values;
            image += 1u;
        }
        let value = a[place];
        if WHAT == 0u {
            sum += value;
        } else if WHAT == 1u {
            sum += (value - middle) * (value - middle);
        } else {
            sum += value * (b[place] - middle);
        }
    }
    var total = workgroup_total(local, added(sum));
    if local == 0u && number < dims.channels * dims.pieces {
        if WHAT == 2u {
            total /= sqrt(variance[channel] + dims.epsilon);
        }
        if WHOLE && MEAN {
            total = select(0.0, total / f32(valid * dims.pixels), valid > 0u);
        }
        sums[number] = total;
    }
}
