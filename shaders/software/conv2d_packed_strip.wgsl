// needs: grid, conv2d_packed
// Convolution from packed operands, for software rasterisers without subgroups of a known size.
// A tap is one weight of the kernel: an offset (ky, kx) within an input channel.
//
// Shapes: X is [images, groups, steps, packed_rows, 4 * vectors] (layout: see conv2d_pack_image.wgsl), W is
// [groups, blocks, kernel_height, quads, 8 outputs, 4 steps] (conv2d_pack_weight.wgsl), with whole tiles of blocks; Y is
// [batch, groups, outputs, rows, columns], of which this computes the images from `first_y` on. A step is an input
// channel and a tap kx. Packing has already applied the horizontal stride, padding and dilation.
// Needs: nothing beyond WebGPU's defaults.
// X, W, Y, `Dims` and the addresses of pixels are in lib/conv2d_packed.wgsl.
//
// Division of work: a lane computes 4 * ROW_VECTORS output channels of 4 * COLUMN_VECTORS pixels, counted over rows and
// images. The lanes of a workgroup are arranged LANES_DOWN along the channels and LANES_ACROSS along the pixels; a lane's next
// vec4 of pixels is LANES_ACROSS further. Workgroups with the same pixels are neighbours.
//
// The idea is explained in matmul_strip.wgsl: vec4 loads, each number used as often as a lane's tile allows, four steps
// innermost. The difference to a matrix product is the position of a step's pixels: `ky` moves down a row, and a step moves
// to the next plane. 32 loads are enough for 1024 multiply-adds.

const ROW_VECTORS: u32 = 4u; // groups of 4 output channels a lane computes
const COLUMN_VECTORS: u32 = 4u; // vec4s of pixels a lane computes
const LANES_DOWN: u32 = 2u; // lanes of a workgroup along the output channels
const LANES_ACROSS: u32 = 4u; // lanes of a workgroup along the pixels

@compute @workgroup_size(LANES_DOWN * LANES_ACROSS)
fn main(invocation: Invocation) {
    let lane = invocation.local;
    let tile = linear_group(invocation.group, invocation.groups);
    let tiles = dims.tiles * dims.groups;
    let pixel_tile = tile / tiles;
    let channel_group = (tile % tiles) / dims.tiles;
    let lane_down = lane / LANES_ACROSS;
    let first_output = (((tile % dims.tiles) * LANES_DOWN) + lane_down) * (4u * ROW_VECTORS);
    let first_pixel = (pixel_tile * (LANES_ACROSS * COLUMN_VECTORS)) + (lane % LANES_ACROSS);
    if (pixel_tile * (LANES_ACROSS * COLUMN_VECTORS) >= dims.pixels || first_output >= dims.outputs) {
        return; // beyond the last output, or the end of a folded grid
    }

    var pixels: array<Pixels, COLUMN_VECTORS>;
    for (var v = 0u; v < COLUMN_VECTORS; v++) {
        pixels[v] = pixels_of(first_pixel + (v * LANES_ACROSS), channel_group, first_output);
    }
    let block_quads = dims.kernel_height * dims.quads;
    // A vec4 of W belongs to one output. The vec4s of eight outputs are neighbours; the next steps follow.
    let tile_blocks = (LANES_DOWN * ROW_VECTORS) / 2u;
    let first_of_w = (channel_group * dims.tiles * tile_blocks * 8u) + first_output;

    var sums: array<array<array<vec4f, COLUMN_VECTORS>, 4>, ROW_VECTORS>;
    for (var ky = 0u; ky < dims.kernel_height; ky++) {
        for (var quad = 0u; quad < dims.quads; quad++) {
            let steps = four_steps(quad, ky);
            var panel: array<mat4x4f, COLUMN_VECTORS>; // of X
            for (var v = 0u; v < COLUMN_VECTORS; v++) {
                panel[v] = load_x(pixels[v].base, steps);
            }
            for (var u = 0u; u < ROW_VECTORS; u++) {
                let out_channel = first_of_w + (4u * u);
                let at = ((((out_channel / 8u) * block_quads) + (ky * dims.quads) + quad) * 8u) + (out_channel % 8u);
                let outputs = mat4x4f(w[at], w[at + 1u], w[at + 2u], w[at + 3u]);
                for (var o = 0u; o < 4u; o++) {
                    for (var v = 0u; v < COLUMN_VECTORS; v++) {
                        sums[u][o][v] += panel[v] * outputs[o]; // four steps
                    }
                }
            }
        }
    }

    let map = dims.rows * dims.columns;
    let outputs = min(dims.outputs - first_output, 4u * ROW_VECTORS);
    for (var u = 0u; u < ROW_VECTORS; u++) {
        for (var o = 0u; o < 4u; o++) {
            for (var v = 0u; v < COLUMN_VECTORS; v++) {
                let out_channel = (4u * u) + o;
                if (out_channel < outputs && pixels[v].count > 0u) {
                    store_y(pixels[v].to + (out_channel * map), pixels[v].count, sums[u][o][v]);
                }
            }
        }
    }
    for (var v = 0u; v < COLUMN_VECTORS; v++) {
        apply_epilogue(pixels[v], outputs);
    }
}
