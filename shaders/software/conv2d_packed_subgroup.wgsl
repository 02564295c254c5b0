// needs: grid, conv2d_packed, subgroup
// Convolution from packed operands, for software rasterisers whose subgroup is exactly 8 lanes wide (lavapipe).
// A tap is one weight of the kernel: an offset (ky, kx) within an input channel.
//
// Shapes: X is [images, groups, steps, packed_rows, 4 * vectors] (layout: see conv2d_pack_image.wgsl), W is
// [groups, blocks, kernel_height, quads, 8 outputs, 4 steps] (conv2d_pack_weight.wgsl), with whole tiles of blocks; Y is
// [batch, groups, outputs, rows, columns], of which this computes the images from `first_y` on. A step is an input
// channel and a tap kx. Packing has already applied the horizontal stride, padding and dilation.
// Needs: the feature SUBGROUP and an adapter whose smallest and largest subgroup are both 8 lanes.
// X, W, Y, `Dims` and the addresses of pixels are in lib/conv2d_packed.wgsl.
//
// Division of work: a workgroup is one subgroup and computes 8 * ROW_BLOCKS output channels of 32 * COLUMN_VECTORS pixels.
// Each lane holds all channels of the tile. Of the pixels it holds COLUMN_VECTORS groups of four neighbours; its groups are
// 8 groups apart, counted over rows and images. Workgroups with the same pixels are neighbours.
//
// The idea is explained in matmul_subgroup.wgsl: one lane loads each vec4 of W, subgroupBroadcast passes it to all lanes, and
// four steps are innermost. The difference to a matrix product is the position of a step's pixels: `ky` moves down a row,
// and a step moves to the next plane. 12 loads are enough for 1024 multiply-adds.

const ROW_BLOCKS: u32 = 4u; // a block is 8 output channels: one for each lane that loads
const COLUMN_VECTORS: u32 = 2u; // vec4s of pixels a lane computes
const LANES: u32 = 8u; // the subgroup's size: a property of this kernel, not a choice

@compute @workgroup_size(LANES)
fn main(invocation: Invocation, @builtin(subgroup_invocation_id) lane: u32) {
    let tile = linear_group(invocation.group, invocation.groups);
    let tiles = dims.tiles * dims.groups;
    let pixel_tile = tile / tiles;
    let channel_group = (tile % tiles) / dims.tiles;
    let first_output = (tile % dims.tiles) * (LANES * ROW_BLOCKS);
    let first_pixel = (pixel_tile * (LANES * COLUMN_VECTORS)) + lane;
    if (pixel_tile * (LANES * COLUMN_VECTORS) >= dims.pixels) {
        return; // beyond the end of a folded grid
    }

    var pixels: array<Pixels, COLUMN_VECTORS>;
    for (var v = 0u; v < COLUMN_VECTORS; v++) {
        pixels[v] = pixels_of(first_pixel + (v * LANES), channel_group, first_output);
    }
    let block_quads = dims.kernel_height * dims.quads;
    let panel_of_w = ((channel_group * dims.tiles * ROW_BLOCKS) + (first_output / LANES)) * block_quads;

    var sums: array<array<array<vec4f, COLUMN_VECTORS>, LANES>, ROW_BLOCKS>;
    for (var ky = 0u; ky < dims.kernel_height; ky++) {
        for (var quad = 0u; quad < dims.quads; quad++) {
            let steps = four_steps(quad, ky);
            var panel: array<mat4x4f, COLUMN_VECTORS>; // of X
            for (var v = 0u; v < COLUMN_VECTORS; v++) {
                panel[v] = load_x(pixels[v].base, steps);
            }
            for (var block = 0u; block < ROW_BLOCKS; block++) {
                let part = w[((panel_of_w + (block * block_quads) + (ky * dims.quads) + quad) * LANES) + lane];
                let outputs = in_every_lane(part);
                for (var o = 0u; o < LANES; o++) {
                    for (var v = 0u; v < COLUMN_VECTORS; v++) {
                        sums[block][o][v] += panel[v] * outputs[o]; // four steps
                    }
                }
            }
        }
    }

    let map = dims.rows * dims.columns;
    let outputs = min(dims.outputs - first_output, LANES * ROW_BLOCKS);
    for (var block = 0u; block < ROW_BLOCKS; block++) {
        for (var o = 0u; o < LANES; o++) {
            for (var v = 0u; v < COLUMN_VECTORS; v++) {
                let out_channel = (block * LANES) + o;
                if (out_channel < outputs && pixels[v].count > 0u) {
                    store_y(pixels[v].to + (out_channel * map), pixels[v].count, sums[block][o][v]);
                }
            }
        }
    }
    for (var v = 0u; v < COLUMN_VECTORS; v++) {
        apply_epilogue(pixels[v], outputs);
    }
}
