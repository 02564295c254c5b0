// needs: grid, conv2d_weight, subgroup
// The gradient of a convolution by its weight from packed images, for software rasterisers whose subgroup is exactly 8
// lanes wide (lavapipe).
// A tap is one weight of the kernel: an offset (ky, kx) within an input channel.
//
// Shapes: X is [images, groups, inputs, kernel_width, packed_rows, 4 * vectors] (layout: see
// conv2d_pack_image.wgsl), DY is [batch, groups, outputs, rows, 4 * vectors], with zeros beyond the last column, SUMS is
// [splits, groups, outputs, 4 * quads], where a row holds the taps [inputs, kernel_height, kernel_width], filled up. The
// images are those from `first_x` and from `first_y` on.
// Needs: the feature SUBGROUP and an adapter whose smallest and largest subgroup are both 8 lanes.
// X, DY, SUMS, `Dims` and the addresses of rows and taps are in lib/conv2d_weight.wgsl.
//
// A matrix product. In the left matrix, DY, a row is an output channel and a column is a pixel. In the right matrix a row is a
// pixel and a column is a tap; an element is the number of X that the tap is multiplied by. There are few outputs, each a
// sum over all pixels of all images. The images' rows are split over `splits` workgroups, and sum_splits.wgsl adds
// their sums in order. With `adds` a workgroup continues from the sums of the images before.
//
// Division of work: a workgroup is one subgroup and computes 8 * ROW_BLOCKS output channels of 32 * COLUMN_VECTORS taps for
// its share of the rows. Each lane holds all channels of the tile. Of the taps it holds COLUMN_VECTORS groups of four,
// which begin at 4 * lane, at 4 * lane + 32, and so on.
//
// The idea is explained in matmul_subgroup.wgsl. Both operands are contiguous along the sum; a load is four pixels of a row.
// The taps' vectors are transposed in registers.

const ROW_BLOCKS: u32 = 4u; // a block is 8 output channels: one for each lane that loads
const COLUMN_VECTORS: u32 = 2u; // groups of four taps a lane computes
const LANES: u32 = 8u; // the subgroup's size: a property of this kernel, not a choice

@compute @workgroup_size(LANES)
fn main(invocation: Invocation, @builtin(subgroup_invocation_id) lane: u32) {
    let tap_tiles = (dims.quads + (LANES * COLUMN_VECTORS) - 1u) / (LANES * COLUMN_VECTORS);
    let output_tiles = (dims.outputs + (LANES * ROW_BLOCKS) - 1u) / (LANES * ROW_BLOCKS);
    let tile = linear_group(invocation.group, invocation.groups);
    let first_tap = ((tile % tap_tiles) * (32u * COLUMN_VECTORS)) + (4u * lane);
    let first_output = ((tile / tap_tiles) % output_tiles) * (LANES * ROW_BLOCKS);
    let channel_group = (tile / (tap_tiles * output_tiles)) % dims.groups;
    let split = tile / (tap_tiles * output_tiles * dims.groups);
    if (split >= dims.splits) {
        return; // beyond the end of a folded grid
    }

    // Beyond the last tap and the last output these are read again, and nothing is stored.
    let plane = dims.packed_rows * dims.vectors;
    var base: array<vec4u, COLUMN_VECTORS>;
    for (var v = 0u; v < COLUMN_VECTORS; v++) {
        base[v] = four_begins(first_tap + (v * 32u), plane);
    }
    let map = dims.rows * dims.vectors;
    var row_of: array<u32, ROW_BLOCKS>;
    for (var block = 0u; block < ROW_BLOCKS; block++) {
        row_of[block] = min(first_output + (block * LANES) + lane, dims.outputs - 1u) * map;
    }

    let first_row = ((((split * dims.groups) + channel_group) * dims.outputs) + first_output) * dims.quads;
    let first_quad = first_row + (first_tap / 4u);
    var total: array<array<array<vec4f, COLUMN_VECTORS>, LANES>, ROW_BLOCKS>;
    if (dims.adds != 0u) {
        for (var block = 0u; block < ROW_BLOCKS; block++) {
            for (var o = 0u; o < LANES; o++) {
                for (var v = 0u; v < COLUMN_VECTORS; v++) {
                    let out_channel = min((block * LANES) + o, dims.outputs - 1u - first_output);
                    let quad = min((first_tap / 4u) + (v * 8u), dims.quads - 1u);
                    total[block][o][v] = sums[first_row + (out_channel * dims.quads) + quad];
                }
            }
        }
    }
    // On Mesa's software rasteriser, all loops of an invocation together run at most 65,535 times and then end silently. The
    // host keeps a split well below that.
    let end = min((split + 1u) * dims.share, dims.lines);
    for (var row_index = split * dims.share; row_index < end; row_index++) {
        let begins = row_begins(row_index, channel_group, plane, map);
        for (var vec_index = 0u; vec_index < dims.vectors; vec_index++) {
            var panel: array<mat4x4f, COLUMN_VECTORS>; // of X
            for (var v = 0u; v < COLUMN_VECTORS; v++) {
                panel[v] = load_x(base[v], begins.x + vec_index);
            }
            for (var block = 0u; block < ROW_BLOCKS; block++) {
                let part = d_y[row_of[block] + begins.y + vec_index];
                let outputs = in_every_lane(part);
                for (var o = 0u; o < LANES; o++) {
                    for (var v = 0u; v < COLUMN_VECTORS; v++) {
                        total[block][o][v] += panel[v] * outputs[o]; // four pixels
                    }
                }
            }
        }
    }

    for (var block = 0u; block < ROW_BLOCKS; block++) {
        for (var o = 0u; o < LANES; o++) {
            for (var v = 0u; v < COLUMN_VECTORS; v++) {
                let out_channel = (block * LANES) + o;
                if (first_output + out_channel < dims.outputs && (first_tap / 4u) + (v * 8u) < dims.quads) {
                    sums[first_quad + (out_channel * dims.quads) + (v * 8u)] = total[block][o][v];
                }
            }
        }
    }
}
