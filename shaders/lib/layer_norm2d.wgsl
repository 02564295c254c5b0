// needs: each
// The mean and the deviation of a pixel's channels. X is [images, channels, pixels]; one invocation handles a pixel.
struct Dims {
    count: u32,    // pixels of all images
    channels: u32,
    pixels: u32,   // of an image
}
@group(0) @binding(1) var<storage, read> x: array<f32>;

const EPSILON: f32 = 1e-6;

fn epilogue(value: f32, index: u32) -> f32 { return value; } // spliced

// The place of a pixel's first channel.
fn first_channel(pixel: u32) -> u32 {
    return pixel / dims.pixels * dims.channels * dims.pixels + pixel % dims.pixels;
}

fn mean_of_channels(first: u32) -> f32 {
    var sum = 0.0;
    for (var channel = 0u; channel < dims.channels; channel++) {
        sum += x[first + channel * dims.pixels];
    }
    return sum / f32(dims.channels);
}

// 1 / sqrt(variance + epsilon), from the sum of squared differences from the mean.
fn inverse_deviation(squares: f32) -> f32 {
    return inverseSqrt(squares / f32(dims.channels) + EPSILON);
}
