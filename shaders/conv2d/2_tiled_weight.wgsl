// needs: grid, conv2d
// The gradient of a convolution by its weight, rung 2: a matrix product with few outputs, each a sum over every pixel
// of the batch. Tiles of both matrices are in workgroup memory, a small tile of the result in each lane's registers.
// A tap is one weight of the kernel: an offset (ky, kx) within an input channel.
//
// Shapes: X is [batch, in_channels, height, width], DY is [batch, out_channels, rows, columns], SUMS is [splits,
// out_channels, in_channels / groups, kernel_height, kernel_width]; all row-major, any sizes and groups.
// Needs: WebGPU's default limits: 256 invocations, 8.5 KiB of workgroup memory. Not measured on hardware yet.
//
// The product, for each group: a row is an output channel, a column is an input channel with a tap, and a step of the sum is
// a pixel of DY. The result has few tiles, which alone would leave most of a GPU idle. So the pixels are split into `splits`
// shares of `share` pixels. sum_splits.wgsl adds the sums of the shares in order.
//
// Division of work: a workgroup computes 64 output channels of 64 taps for its share of the pixels, a lane 4 x 4 of them.
// Workgroup memory holds 16 pixels at a time. Each lane always fetches the same four channels and the same four taps.
// Neighbouring lanes take neighbouring pixels, which are contiguous in both operands.
// Bank conflicts: as in 2_tiled.wgsl; PAD makes the distance between two steps an odd number of vec4s.

const TILE: u32 = 64u; // channels, and taps, of a workgroup
const DEPTH: u32 = 16u; // pixels held in workgroup memory at a time
const VECTORS: u32 = TILE / 4u; // vec4s of a pixel in either tile; also the lanes along each side
const PAD: u32 = 1u; // unused vec4s at the end of a tile's row

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;

var<workgroup> dy_tile: array<array<vec4f, VECTORS + PAD>, DEPTH>;
var<workgroup> x_tile: array<array<vec4f, VECTORS + PAD>, DEPTH>;

// A column of the product: an input channel, and its tap's distance from the first tap, in rows and columns of X.
struct Tap {
    exists: bool,
    channel: u32,
    at: vec2u,
}

fn tap_of(number: u32, channel_group: u32) -> Tap {
    let inputs = dims.in_channels / dims.groups;
    let row_index = number / dims.kernel_width;
    let channel = row_index / dims.kernel_height;
    let ky = row_index - (channel * dims.kernel_height);
    let kx = number - (row_index * dims.kernel_width);
    return Tap(channel < inputs, (channel_group * inputs) + channel, vec2u(ky * dims.dilation_y, kx * dims.dilation_x));
}

// Above and left of X, coordinates wrap around to large numbers, which are outside X too.
fn load_x(image: u32, corner: vec2u, tap: Tap, exists: bool) -> f32 {
    let at = corner + tap.at;
    if (!exists || !tap.exists || any(at >= vec2u(dims.height, dims.width))) {
        return 0.0;
    }
    return x[((((image * dims.in_channels) + tap.channel) * dims.height) + at.x) * dims.width + at.y];
}

fn load_dy(image: u32, place: u32, out_channel: u32, channel_group: u32, exists: bool) -> f32 {
    let outputs = dims.out_channels / dims.groups;
    if (!exists || out_channel >= outputs) {
        return 0.0;
    }
    let plane = (((image * dims.groups) + channel_group) * outputs) + out_channel;
    return d_y[(plane * dims.rows * dims.columns) + place];
}

@compute @workgroup_size(256)
fn main(invocation: Invocation) {
    let outputs = dims.out_channels / dims.groups;
    let taps = (dims.in_channels / dims.groups) * dims.kernel_height * dims.kernel_width;
    let output_tiles = (outputs + TILE - 1u) / TILE;
    let tap_tiles = (taps + TILE - 1u) / TILE;
    let tile = linear_group(invocation.group, invocation.groups);
    let first_tap = (tile % tap_tiles) * TILE;
    let first_output = ((tile / tap_tiles) % output_tiles) * TILE;
    let channel_group = (tile / (tap_tiles * output_tiles)) % dims.groups;
    let split = tile / (tap_tiles * output_tiles * dims.groups);
    let across = invocation.local % VECTORS;
    let down = invocation.local / VECTORS;

    let tap0 = tap_of(first_tap + (4u * down), channel_group);
    let tap1 = tap_of(first_tap + (4u * down) + 1u, channel_group);
    let tap2 = tap_of(first_tap + (4u * down) + 2u, channel_group);
    let tap3 = tap_of(first_tap + (4u * down) + 3u, channel_group);
    let out_channel = first_output + (4u * down);

    let map = dims.rows * dims.columns;
    let begin = split * dims.share;
    let end = min(begin + dims.share, dims.batch * map);
    var total: array<vec4f, 4>;
    for (var first = begin; first < end; first += DEPTH) {
        let pixel = first + across;
        let exists = pixel < end;
        let image = pixel / map;
        let place = pixel - (image * map);
        let row = place / dims.columns;
        let column = place - (row * dims.columns);
        let corner = vec2u(row * dims.stride_y, column * dims.stride_x) - vec2u(dims.padding_y, dims.padding_x);
        x_tile[across][down] = vec4f(
            load_x(image, corner, tap0, exists),
            load_x(image, corner, tap1, exists),
            load_x(image, corner, tap2, exists),
            load_x(image, corner, tap3, exists),
        );
        dy_tile[across][down] = vec4f(
            load_dy(image, place, out_channel, channel_group, exists),
            load_dy(image, place, out_channel + 1u, channel_group, exists),
            load_dy(image, place, out_channel + 2u, channel_group, exists),
            load_dy(image, place, out_channel + 3u, channel_group, exists),
        );
        workgroupBarrier();
        for (var step = 0u; step < DEPTH; step++) {
            let rows = dy_tile[step][down];
            let columns = x_tile[step][across];
            total[0] += rows.x * columns;
            total[1] += rows.y * columns;
            total[2] += rows.z * columns;
            total[3] += rows.w * columns;
        }
        workgroupBarrier();
    }

    for (var o = 0u; o < 4u; o++) {
        for (var t = 0u; t < 4u; t++) {
            let tap = first_tap + (4u * across) + t;
            if (out_channel + o < outputs && tap < taps && split < dims.splits) {
                let row_index = (((split * dims.groups) + channel_group) * outputs) + out_channel + o;
                sums[(row_index * taps) + tap] = total[o][t];
            }
        }
    }
}
