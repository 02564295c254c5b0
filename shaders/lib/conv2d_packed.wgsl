// The operands of a convolution from packed images and weights, and how its output is stored; for the strip and the
// subgroup kernel.
const EPILOGUE: bool = true; // whether there is one to apply

struct Dims {
    first_x: u32,       // image of X
    first_y: u32,       // image of Y
    pixels: u32,        // vec4s of pixels: images * rows * vectors
    groups: u32,
    outputs: u32,       // of a group
    tiles: u32,         // of a group's outputs
    steps: u32,         // input channels of a group times kernel_width
    quads: u32,         // steps / 4, filled up
    kernel_height: u32,
    rows: u32,
    columns: u32,
    vectors: u32,
    packed_rows: u32,
    stride_y: u32,
    dilation_y: u32,
}

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> w: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // spliced

fn epilogue(value: f32, index: u32) -> f32 { return value; } // spliced

// Four numbers of Y from `index` on, of which `count` exist. If all rows are whole vectors, the host replaces these functions
// and Y by versions for vec4f (in_vectors in src/ops/software/conv2d).
fn load_y(index: u32, count: u32) -> vec4f {
    let last = index + min(count, 4u) - 1u;
    return vec4f(y[index], y[min(index + 1u, last)], y[min(index + 2u, last)], y[min(index + 3u, last)]);
}
fn store_y(index: u32, count: u32, value: vec4f) {
    y[index] = value.x;
    if (count > 1u) { y[index + 1u] = value.y; }
    if (count > 2u) { y[index + 2u] = value.z; }
    if (count > 3u) { y[index + 3u] = value.w; }
}
// end of what is spliced

fn finish(sum: vec4f, index: u32, count: u32) -> vec4f {
    let last = index + min(count, 4u) - 1u;
    return vec4f(
        epilogue(sum.x, index),
        epilogue(sum.y, min(index + 1u, last)),
        epilogue(sum.z, min(index + 2u, last)),
        epilogue(sum.w, min(index + 3u, last)),
    );
}

