// needs: each, step
// The gradient of a batch's sum or mean: the incoming gradient, divided by the number of valid rows for a mean. Masked rows
// get 0.
struct Dims {
    count: u32, // rows
}
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const MEAN: bool = false;

fn each(row: u32) {
    let share = select(x[0], x[0] * step.inverse_rows, MEAN);
    y[row] = select(0.0, share, row < step.valid);
}
