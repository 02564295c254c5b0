// needs: each
// y = the nearest whole numbers from 0 to 255 for values x from 0 to 1. Other values are clamped.
struct Dims {
    count: u32,
}
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn each(index: u32) {
    y[index] = floor(255.0 * clamp(x[index], 0.0, 1.0) + 0.5);
}
