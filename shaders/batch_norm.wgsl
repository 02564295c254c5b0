// needs: batch_norm
// Y = (X - MEAN) GAMMA / sqrt(VARIANCE + epsilon) + BETA. X is [batch, channels, pixels], the others are [channels].
@group(0) @binding(1) var<storage, read> x: array<Value>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> variance: array<f32>;
@group(0) @binding(4) var<storage, read> gamma: array<f32>;
@group(0) @binding(5) var<storage, read> beta: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<Value>;

const EPSILON: f32 = 1e-5;

fn each(number: u32) {
    let first = number * RUN;
    let channel = (first / dims.values) % dims.channels;
    let middle = mean[channel];
    let factor = gamma[channel] / sqrt(variance[channel] + EPSILON);
    let shift = beta[channel];
    for (var index = first; index < first + RUN; index++) {
        y[index] = finished((x[index] - middle) * factor + shift, index);
    }
}
