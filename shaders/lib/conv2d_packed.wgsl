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

fn epilogue(value: f32, index: u32, channel: u32) -> f32 { return value; } // spliced

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

fn finish(sum: vec4f, index: u32, count: u32, channel: u32) -> vec4f {
    let last = index + min(count, 4u) - 1u;
    return vec4f(
        epilogue(sum.x, index, channel),
        epilogue(sum.y, min(index + 1u, last), channel),
        epilogue(sum.z, min(index + 2u, last), channel),
        epilogue(sum.w, min(index + 3u, last), channel),
    );
}

// Applies the epilogue to the elements that a lane has stored for four pixels. The kernels' own loops are unrolled, because
// registers have no index; there the epilogue would be compiled once for each output.
fn apply_epilogue(pixels: Pixels, outputs: u32) {
    if (!EPILOGUE || pixels.count == 0u) {
        return;
    }
    for (var out_channel = 0u; out_channel < outputs; out_channel++) {
        let index = pixels.to + (out_channel * dims.rows * dims.columns);
        let value = finish(load_y(index, pixels.count), index, pixels.count, pixels.channel + out_channel);
        store_y(index, pixels.count, value);
    }
}

// Four neighbouring pixels of a row, counted over rows and images. Beyond the last pixel, that pixel is read again, and nothing
// is stored.
struct Pixels {
    base: u32,  // their first index in X, for the first step
    to: u32,    // their first index in Y, for the first output channel
    count: u32, // how many of the four exist
    channel: u32, // the first output channel
}

fn pixels_of(number: u32, channel_group: u32, first_output: u32) -> Pixels {
    let at = min(number, dims.pixels - 1u);
    let row_index = at / dims.vectors;
    let vec_index = at - (row_index * dims.vectors);
    let image = row_index / dims.rows;
    let row = row_index - (image * dims.rows);
    let plane = (((dims.first_x + image) * dims.groups) + channel_group) * dims.steps;
    let base = (((plane * dims.packed_rows) + (row * dims.stride_y)) * dims.vectors) + vec_index;
    let channel = (channel_group * dims.outputs) + first_output;
    let out_plane = ((dims.first_y + image) * dims.groups * dims.outputs) + channel;
    let to = (((out_plane * dims.rows) + row) * dims.columns) + (4u * vec_index);
    return Pixels(base, to, select(0u, dims.columns - (4u * vec_index), number < dims.pixels), channel);
}

// The distances in X from a pixel's first step to four steps under the tap ky. For steps beyond the last, W is zero, so that
// any valid index will do.
fn four_steps(quad: u32, ky: u32) -> vec4u {
    let steps = min(vec4u(4u * quad) + vec4u(0u, 1u, 2u, 3u), vec4u(dims.steps - 1u));
    return ((steps * dims.packed_rows) + (ky * dims.dilation_y)) * dims.vectors;
}

// Four steps of four pixels; one column of the matrix for each step.
fn load_x(base: u32, steps: vec4u) -> mat4x4f {
    return mat4x4f(x[base + steps.x], x[base + steps.y], x[base + steps.z], x[base + steps.w]);
}

