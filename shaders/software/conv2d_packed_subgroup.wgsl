// needs: grid, conv2d_packed, subgroup
// Convolution from packed operands, for software rasterisers whose subgroup is exactly 8 lanes wide (lavapipe).
// A tap is one weight of the kernel: an offset (ky, kx) within an input channel.
//
// Shapes: X is [images, groups, steps, packed_rows, 4 * vectors] (layout: see conv2d_pack_image.wgsl), W is
// [groups, blocks, kernel_height, quads, 8 outputs, 4 steps] (conv2d_pack_weight.wgsl), with whole tiles of blocks; Y is
// [batch, groups, outputs, rows, columns], of which this computes the images from
// `first_y` on. A step is an input channel and a tap kx. Packing
// has already applied the horizontal stride, padding and dilation.
// Needs: the feature SUBGROUP and an adapter whose smallest and largest subgroup are both 8 lanes.
// X, W, Y and `Dims` are declared in lib/conv2d_packed.wgsl.
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

    // The first index of a lane's pixels in X and in Y. Beyond the last pixel, that pixel is read again, and nothing is stored.
    let plane = dims.packed_rows * dims.vectors;
    var base: array<u32, COLUMN_VECTORS>;
    var to: array<u32, COLUMN_VECTORS>;
    var count: array<u32, COLUMN_VECTORS>;
    for (var v = 0u; v < COLUMN_VECTORS; v++) {
        let pixel = first_pixel + (v * LANES);
        let at = min(pixel, dims.pixels - 1u);
        let row_index = at / dims.vectors;
        let vec_index = at - (row_index * dims.vectors);
        let image = row_index / dims.rows;
        let row = row_index - (image * dims.rows);
        base[v] = (((((dims.first_x + image) * dims.groups) + channel_group) * dims.steps) * plane)
            + (row * dims.stride_y * dims.vectors) + vec_index;
        let out_channel = ((((dims.first_y + image) * dims.groups) + channel_group) * dims.outputs) + first_output;
        to[v] = (((out_channel * dims.rows) + row) * dims.columns) + (4u * vec_index);
        count[v] = select(0u, dims.columns - (4u * vec_index), pixel < dims.pixels);
    }
    let block_quads = dims.kernel_height * dims.quads;
    let panel_of_w = ((channel_group * dims.tiles * ROW_BLOCKS) + (first_output / LANES)) * block_quads;

    var sums: array<array<array<vec4f, COLUMN_VECTORS>, LANES>, ROW_BLOCKS>;
    for (var ky = 0u; ky < dims.kernel_height; ky++) {
        let down = ky * dims.dilation_y * dims.vectors;
        for (var quad = 0u; quad < dims.quads; quad++) {
            // For steps beyond the last, W is zero, so that any valid index will do.
            let s0 = (4u * quad * plane) + down;
            let s1 = (min((4u * quad) + 1u, dims.steps - 1u) * plane) + down;
            let s2 = (min((4u * quad) + 2u, dims.steps - 1u) * plane) + down;
            let s3 = (min((4u * quad) + 3u, dims.steps - 1u) * plane) + down;
            var panel: array<mat4x4f, COLUMN_VECTORS>; // of X
            for (var v = 0u; v < COLUMN_VECTORS; v++) {
                panel[v] = mat4x4f(x[base[v] + s0], x[base[v] + s1], x[base[v] + s2], x[base[v] + s3]);
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
                if (out_channel < outputs && count[v] > 0u) {
                    store_y(to[v] + (out_channel * map), count[v], sums[block][o][v]);
                }
            }
        }
    }
    if (!EPILOGUE) {
        return;
    }
    // The epilogue runs in a second loop, over the elements that this lane has just stored. The loops above are unrolled,
    // because registers have no index; there the epilogue would be compiled once for each output.
    for (var v = 0u; v < COLUMN_VECTORS; v++) {
        if (count[v] > 0u) {
            for (var out_channel = 0u; out_channel < outputs; out_channel++) {
                let index = to[v] + (out_channel * map);
                store_y(index, count[v], finish(load_y(index, count[v]), index, count[v]));
            }
        }
    }
}
