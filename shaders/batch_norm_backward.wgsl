// needs: batch_norm, step
// The gradient of a batch norm by X [batch, channels, pixels], from DY and the coefficients of each channel. It includes the
// gradient through the batch's mean and variance:
// factor (d_y - mean(d_y) - (x - mean) mean(d_y x^) / standard deviation), where x^ is the normalised x.
// Masked rows get 0.
@group(0) @binding(1) var<storage, read> d_y: array<Value>;
@group(0) @binding(2) var<storage, read> x: array<Value>;
@group(0) @binding(3) var<storage, read> coefficients: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> d_x: array<Value>;

fn each(number: u32) {
    let first = number * RUN;
    let plane = first / dims.values;
    let row = plane / dims.channels;
    let own = coefficients[plane - row * dims.channels];
    for (var index = first; index < first + RUN; index++) {
        let gradient = own.x * (d_y[index] - own.z - (x[index] - own.y) * own.w);
        d_x[index] = finished(select(Value(), gradient, row < step.valid), index);
    }
}
