// The operands of the gradient of a convolution by its weight from packed images, for the strip and the subgroup kernel.
struct Dims {
    first_x: u32,       // image of X
    first_y: u32,       // image of DY
    lines: u32,         // rows of all images
    share: u32,         // lines of a split
    splits: u32,
    adds: u32,          // 1: add to SUMS; 0: overwrite SUMS
    quads: u32,         // groups of four taps
    groups: u32,
    outputs: u32,       // of a group
    inputs: u32,        // of a group
    kernel_height: u32,
    kernel_width: u32,
    rows: u32,
    vectors: u32,
    packed_rows: u32,
    stride_y: u32,
    dilation_y: u32,
}

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> d_y: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> sums: array<vec4f>;

// The first index in an image of X of the numbers that a tap of a group is multiplied by.
fn begin(tap: u32, plane: u32) -> u32 {
    let kx = tap % dims.kernel_width;
    let ky = (tap / dims.kernel_width) % dims.kernel_height;
    let in_channel = tap / (dims.kernel_width * dims.kernel_height);
    return (((in_channel * dims.kernel_width) + kx) * plane) + (ky * dims.dilation_y * dims.vectors);
}

// The same for four taps. Beyond the last tap, that one is read again, and nothing is stored.
fn four_begins(first_tap: u32, plane: u32) -> vec4u {
    let last = (dims.inputs * dims.kernel_height * dims.kernel_width) - 1u;
    return vec4u(
        begin(min(first_tap, last), plane),
        begin(min(first_tap + 1u, last), plane),
        begin(min(first_tap + 2u, last), plane),
        begin(min(first_tap + 3u, last), plane),
    );
}

// The first index in X and in DY of a row, counted over images, from the sizes of a channel of each.
fn row_begins(row_index: u32, channel_group: u32, plane: u32, map: u32) -> vec2u {
    let image = row_index / dims.rows;
    let row = row_index - (image * dims.rows);
    let image_x = (((dims.first_x + image) * dims.groups) + channel_group) * dims.inputs * dims.kernel_width * plane;
    let image_y = (((dims.first_y + image) * dims.groups) + channel_group) * dims.outputs * map;
    return vec2u(image_x + (row * dims.stride_y * dims.vectors), image_y + (row * dims.vectors));
}

// Four pixels under four taps; one column of the matrix for each pixel.
fn load_x(base: vec4u, at: u32) -> mat4x4f {
    return transpose(mat4x4f(x[base.x + at], x[base.y + at], x[base.z + at], x[base.w + at]));
}

