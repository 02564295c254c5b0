// needs: each, step
// y = blend x + (1 - blend) x of the next row, and in the step's hole the next row alone. Images [rows, channels, height, width];
// masked rows are 0.
struct Dims {
    count: u32, // numbers
    image: u32, // of an image
    height: u32,
    width: u32,
}
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn each(index: u32) {
    let row = index / dims.image;
    let within = index % dims.image;
    let at = vec2u((within / dims.width) % dims.height, within % dims.width);
    let next = ((row + 1u) % max(step.valid, 1u)) * dims.image + within;
    let is_next = all(at >= step.hole.xy) && all(at < step.hole.zw);
    let mixed = select(step.blend * x[index] + (1.0 - step.blend) * x[next], x[next], is_next);
    y[index] = select(0.0, mixed, row < step.valid);
}
