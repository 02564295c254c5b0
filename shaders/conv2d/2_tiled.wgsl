// needs: grid, conv2d_sides
// Convolution, or its gradient by the image, rung 2: a matrix product whose right matrix is never stored in full
// (implicit GEMM). Tiles of both matrices are in workgroup memory, a small tile of the result in each lane's registers.
// A tap is one weight of the kernel: an offset (ky, kx) within an input channel.
//
// Shapes: W is [out_channels, in_channels / groups, kernel_height, kernel_width]. Forward, X is [batch, in_channels, height,
// width] and Y is [batch, out_channels, rows, columns]; with BACKWARD, X is the gradient [batch, out_channels, rows,
// columns] and Y the image's [batch, in_channels, height, width]. All row-major, any sizes and groups.
// Needs: WebGPU's default limits: 256 invocations, 8.5 KiB of workgroup memory. Not measured on hardware yet.
//
// The product, for each group: a row is a channel of Y, a column is a pixel of Y (counted over images), and a step of the
// sum is a channel of X and a tap. The left matrix is W. The right one has, for a pixel and a step, the number
// of X that the tap is multiplied by. It is zero outside X, and in the gradient also between two outputs if the stride is
// above 1.
//
// Division of work: a workgroup computes 64 channels of 64 pixels, a lane 4 x 4 of them. Workgroup memory holds 16 steps
// at a time. Workgroups with the same pixels are neighbours, so that X is still in a cache.
//
// Each lane always fetches the same vec4 of both tiles: four channels of one step of W, four pixels of one step of X. So
// the divisions that turn a pixel's number into image, row and column are done once. The step's channel and tap advance by
// 16 steps like a number of three digits, with carries instead of divisions. Neighbouring lanes take neighbouring pixels
// of X and neighbouring steps of W; both are contiguous in memory.
// Bank conflicts: eight lanes that write neighbouring steps at a time use all 32 banks, because PAD makes the distance between
// two steps an odd number of vec4s.

const TILE: u32 = 64u; // channels, and pixels, of a workgroup
const DEPTH: u32 = 16u; // steps held in workgroup memory at a time
const VECTORS: u32 = TILE / 4u; // vec4s of a step in either tile; also the lanes along each side
const PAD: u32 = 1u; // unused vec4s at the end of a tile's row

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

var<workgroup> w_tile: array<array<vec4f, VECTORS + PAD>, DEPTH>;
var<workgroup> x_tile: array<array<vec4f, VECTORS + PAD>, DEPTH>;

fn epilogue(value: f32, index: u32, channel: u32) -> f32 { return value; } // spliced

// A step of the sum: a channel of X within its group, and a tap.
struct Step {
    channel: u32,
    ky: u32,
    kx: u32,
}

fn step_of(number: u32) -> Step {
    let row_index = number / dims.kernel_width;
    let channel = row_index / dims.kernel_height;
    return Step(channel, row_index - (channel * dims.kernel_height), number - (row_index * dims.kernel_width));
}

fn advance(step: Step, by: Step) -> Step {
    var sum = Step(step.channel + by.channel, step.ky + by.ky, step.kx + by.kx);
    if (sum.kx >= dims.kernel_width) {
        sum.kx -= dims.kernel_width;
        sum.ky += 1u;
    }
    if (sum.ky >= dims.kernel_height) {
        sum.ky -= dims.kernel_height;
        sum.channel += 1u;
    }
    return sum;
}

// The number of X for a pixel and a step. Above and left of X, coordinates wrap around to large numbers, outside X too.
fn load_x(pixel: Pixel, group: u32, step: Step) -> f32 {
    let tap = vec2u(step.ky * dims.dilation_y, step.kx * dims.dilation_x);
    let size = size_x();
    var at = pixel.at + tap;
    var meets = true;
    if (BACKWARD) {
        let stride = vec2u(dims.stride_y, dims.stride_x);
        let distance = pixel.at - tap;
        at = distance / stride;
        meets = all((at * stride) == distance);
    }
    if (!meets || any(at >= size) || step.channel >= channels_x() || pixel.image >= dims.batch) {
        return 0.0;
    }
    let plane = (((pixel.image * dims.groups) + group) * channels_x()) + step.channel;
    return x[(((plane * size.x) + at.x) * size.y) + at.y];
}

fn load_w(channel: u32, group: u32, step: Step) -> f32 {
    if (channel >= channels_y() || step.channel >= channels_x()) {
        return 0.0;
    }
    let out_channel = (group * (dims.out_channels / dims.groups)) + select(channel, step.channel, BACKWARD);
    let in_channel = select(step.channel, channel, BACKWARD);
    let row_index = ((out_channel * (dims.in_channels / dims.groups)) + in_channel) * dims.kernel_height;
    return w[((row_index + step.ky) * dims.kernel_width) + step.kx];
}

@compute @workgroup_size(256)
fn main(invocation: Invocation) {
    let lane = invocation.local;
    let tiles = (channels_y() + TILE - 1u) / TILE;
    let tile = linear_group(invocation.group, invocation.groups);
    let first_channel = (tile % tiles) * TILE;
    let channel_group = (tile / tiles) % dims.groups;
    let first_pixel = (tile / (tiles * dims.groups)) * TILE;
    let across = lane % VECTORS;
    let down = lane / VECTORS;

    // The elements that this lane fetches. Neighbouring lanes take neighbouring vec4s of pixels of X, and steps of W.
    let sixteen = step_of(DEPTH);
    var step_x = step_of(down);
    var step_w = step_of(across);
    let pixel0 = pixel_of(first_pixel + (4u * across));
    let pixel1 = pixel_of(first_pixel + (4u * across) + 1u);
    let pixel2 = pixel_of(first_pixel + (4u * across) + 2u);
    let pixel3 = pixel_of(first_pixel + (4u * across) + 3u);
    let channel = first_channel + (4u * down);

    var sums: array<vec4f, 4>;
    let depth = channels_x() * dims.kernel_height * dims.kernel_width;
    for (var k = 0u; k < depth; k += DEPTH) {
        x_tile[down][across] = vec4f(
            load_x(pixel0, channel_group, step_x),
            load_x(pixel1, channel_group, step_x),
            load_x(pixel2, channel_group, step_x),
            load_x(pixel3, channel_group, step_x),
        );
        w_tile[across][down] = vec4f(
            load_w(channel, channel_group, step_w),
            load_w(channel + 1u, channel_group, step_w),
            load_w(channel + 2u, channel_group, step_w),
            load_w(channel + 3u, channel_group, step_w),
        );
        step_x = advance(step_x, sixteen);
        step_w = advance(step_w, sixteen);
        workgroupBarrier();
        for (var step = 0u; step < DEPTH; step++) {
            let channels = w_tile[step][down];
            let pixels = x_tile[step][across];
            sums[0] += channels.x * pixels;
            sums[1] += channels.y * pixels;
            sums[2] += channels.z * pixels;
            sums[3] += channels.w * pixels;
        }
        workgroupBarrier();
    }

    let map = size_y().x * size_y().y;
    let channel_y = (channel_group * channels_y()) + channel; // counted over all groups
    for (var p = 0u; p < 4u; p++) {
        let pixel = pixel_of(first_pixel + (4u * across) + p);
        let plane = (pixel.image * dims.groups * channels_y()) + channel_y;
        for (var c = 0u; c < 4u; c++) {
            if (channel + c < channels_y() && pixel.image < dims.batch) {
                let index = ((plane + c) * map) + pixel.place;
                y[index] = epilogue(sums[c][p], index, channel_y + c);
            }
        }
    }
}
