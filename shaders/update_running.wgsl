// needs: each, step
// Running statistics of batch norm: running = (1 - momentum) running + momentum value, one invocation for each channel. With
// UNBIAS the value is a variance over n numbers (the valid rows' pixels) and is multiplied by n / (n - 1), as in PyTorch.
// A batch without valid rows changes nothing.
struct Dims {
    count: u32, // channels
    pixels: u32,
    momentum: f32,
}
@group(0) @binding(1) var<storage, read> value: array<f32>;
@group(0) @binding(2) var<storage, read_write> running: array<f32>;

const UNBIAS: bool = false;

fn each(channel: u32) {
    let count = step.valid * dims.pixels;
    if count == 0u {
        return;
    }
    var weight = dims.momentum;
    if UNBIAS && count > 1u {
        weight = dims.momentum * f32(count) / f32(count - 1u);
    }
    running[channel] = (1.0 - dims.momentum) * running[channel] + weight * value[channel];
}
