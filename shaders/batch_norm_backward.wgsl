// needs: each, step
// The gradient of a batch norm by X [batch, channels, pixels], from DY and the coefficients of each channel. It includes the
// gradient through the batch's mean and variance:
// factor (d_y - mean(d_y) - (x - mean) mean(d_y x^) / standard deviation), where x^ is the normalised x.
// Masked rows get 0. One invocation for a run of values. A value is a vec4 of pixels if the number of pixels is a multiple
// of four.
struct Dims {
    count: u32,  // runs
    values: u32, // of a channel of an image
    channels: u32,
}
alias Value = f32;

@group(0) @binding(1) var<storage, read> d_y: array<Value>;
@group(0) @binding(2) var<storage, read> x: array<Value>;
@group(0) @binding(3) var<storage, read> coefficients: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> d_x: array<Value>;

const RUN: u32 = 1u;      // neighbouring values of one channel that an invocation treats

fn epilogue(value: f32, index: u32) -> f32 { return value; } // spliced
fn finished(value: Value, index: u32) -> Value { return epilogue(value, index); } // spliced

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
