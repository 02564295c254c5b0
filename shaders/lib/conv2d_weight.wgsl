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

