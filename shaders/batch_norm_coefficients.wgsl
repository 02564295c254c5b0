// needs: each, step
// The coefficients of each channel for the gradient of a batch norm by its input, a vec4: gamma / standard deviation, mean,
// mean(d_y), and mean(d_y x^) / standard deviation, where x^ is the normalised x. SUM and PRODUCT are the sums of d_y and
// of d_y x^ over the valid rows and all pixels. One invocation for each channel.
struct Dims {
    count: u32, // channels
    pixels: u32,
    epsilon: f32,
}
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read> variance: array<f32>;
@group(0) @binding(3) var<storage, read> gamma: array<f32>;
@group(0) @binding(4) var<storage, read> sum: array<f32>;
@group(0) @binding(5) var<storage, read> product: array<f32>;
@group(0) @binding(6) var<storage, read_write> coefficients: array<vec4f>;

fn each(channel: u32) {
    let inverse = 1.0 / sqrt(variance[channel] + dims.epsilon);
    let share = step.inverse_valid / f32(dims.pixels);
    coefficients[channel] =
        vec4f(gamma[channel] * inverse, mean[channel], sum[channel] * share, product[channel] * share * inverse);
}
