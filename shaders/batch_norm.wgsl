// needs: each
// Y = (X - MEAN) GAMMA / sqrt(VARIANCE + epsilon) + BETA. X is [batch, channels, pixels], the others are [channels].
// One invocation for a run of values. A value is a vec4 of pixels if the number of pixels is a multiple of four.
struct Dims {
    count: u32,  // runs
    values: u32, // of a channel of an image
    channels: u32,
    epsilon: f32,
}
alias Value = f32;

@group(0) @binding(1) var<storage, read> x: array<Value>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> variance: array<f32>;
@group(0) @binding(4) var<storage, read> gamma: array<f32>;
@group(0) @binding(5) var<storage, read> beta: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<Value>;

const RUN: u32 = 1u;      // neighbouring values of one channel that an invocation treats

fn epilogue(value: f32, index: u32) -> f32 { return value; } // spliced
fn finished(value: Value, index: u32) -> Value { return epilogue(value, index); } // spliced

fn each(number: u32) {
    let first = number * RUN;
    let channel = (first / dims.values) % dims.channels;
    let middle = mean[channel];
    let factor = gamma[channel] / sqrt(variance[channel] + dims.epsilon);
    let shift = beta[channel];
    for (var index = first; index < first + RUN; index++) {
        y[index] = finished((x[index] - middle) * factor + shift, index);
    }
}
