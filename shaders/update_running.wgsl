// needs: grid, step
// Running statistics of batch norm: running = (1 - momentum) running + momentum value, one invocation for each channel. With
// UNBIAS the value is a variance over n numbers (the valid rows' pixels) and is multiplied by n / (n - 1), as in PyTorch.
// A batch without valid rows changes nothing.
struct Dims {
    channels: u32,
    pixels: u32,
    momentum: f32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> value: array<f32>;
@group(0) @binding(2) var<storage, read_write> running: array<f32>;

const UNBIAS: bool = false;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let channel = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    let count = step.valid * dims.pixels;
    if channel >= dims.channels || count == 0u {
        return;
    }
    var weight = dims.momentum;
    if UNBIAS && count > 1u {
        weight = dims.momentum * f32(count) / f32(count - 1u);
    }
    running[channel] = (1.0 - dims.momentum) * running[channel] + weight * value[channel];
}
