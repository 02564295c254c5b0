// needs: each, step
// y = sum = sum + x, or x in the first part of a batch.
struct Dims {
    count: u32,
}
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> sum: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn each(index: u32) {
    let total = select(sum[index] + x[index], x[index], (step.part & 1u) != 0u);
    sum[index] = total;
    y[index] = total;
}
