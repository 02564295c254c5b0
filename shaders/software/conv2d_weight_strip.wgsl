// needs: grid, conv2d_weight
// The gradient of a convolution by its weight from packed images, for software rasterisers without subgroups
// of a known size.
// A tap is one weight of the kernel: an offset (ky, kx) within an input channel.
//
// Shapes: X is [images, groups, inputs, kernel_width, packed_rows, 4 * vectors] (layout: see
// conv2d_pack_image.wgsl), DY is [batch, groups, outputs, rows, 4 * vectors], with zeros beyond the last column, SUMS is
// [splits, groups, outputs, 4 * quads], where a row holds the taps [inputs, kernel_height, kernel_width], filled up. The
// images are those from `first_x` and from `first_y` on.
// Needs: nothing beyond WebGPU's defaults.
// X, DY, SUMS, `Dims` and the addresses of rows and taps are in lib/conv2d_weight.wgsl.
//
// A matrix product. In the left matrix, DY, a row is an output channel and a column is a pixel. In the right matrix a row is a
// pixel and a column is a tap; an element is the number of X that the tap is multiplied by. There are few outputs, each a
// sum over all pixels of all images. The images' rows are split over `splits` workgroups, and sum_splits.wgsl adds
// their sums in order. With `adds` a workgroup continues from the sums of the images before.
//
// Division of work: a lane computes 4 * ROW_VECTORS output channels of 4 * COLUMN_VECTORS taps for its share of the
// rows. The lanes of a workgroup are arranged LANES_DOWN along the channels and LANES_ACROSS along the taps; a lane's next
// group of four taps is 4 * LANES_ACROSS further.
//
// The idea is explained in matmul_strip.wgsl. Both operands are contiguous along the sum; a load is four pixels of a row. The
// taps' vectors are transposed in registers.

const ROW_VECTORS: u32 = 4u; // groups of 4 output channels a lane computes
const COLUMN_VECTORS: u32 = 4u; // groups of four taps a lane computes
const LANES_DOWN: u32 = 2u; // lanes of a workgroup along the output channels
const LANES_ACROSS: u32 = 4u; // lanes of a workgroup along the taps

@compute @workgroup_size(LANES_DOWN * LANES_ACROSS)
fn main(invocation: Invocation) {
    let tap_tiles = (dims.quads + (LANES_ACROSS * COLUMN_VECTORS) - 1u) / (LANES_ACROSS * COLUMN_VECTORS);
    let output_tiles = (dims.outputs + (4u * LANES_DOWN * ROW_VECTORS) - 1u) / (4u * LANES_DOWN * ROW_VECTORS);
    let tile = linear_group(invocation.group, invocation.groups);
    let first_tap = 4u * (((tile % tap_tiles) * (LANES_ACROSS * COLUMN_VECTORS)) + (invocation.local % LANES_ACROSS));
    let lane_down = invocation.local / LANES_ACROSS;
    let first_output = ((((tile / tap_tiles) % output_tiles) * LANES_DOWN) + lane_down) * (4u * ROW_VECTORS);
    let channel_group = (tile / (tap_tiles * output_tiles)) % dims.groups;
    let split = tile / (tap_tiles * output_tiles * dims.groups);
    if (split >= dims.splits || first_output >= dims.outputs) {
        return; // beyond the last output, or the end of a folded grid
    }

    // Beyond the last tap and the last output these are read again, and nothing is stored.
    let plane = dims.packed_rows * dims.vectors;
    var base: array<vec4u, COLUMN_VECTORS>;
    for (var v = 0u; v < COLUMN_VECTORS; v++) {
        base[v] = four_begins(first_tap + (v * 4u * LANES_ACROSS), plane);
    }
    let map = dims.rows * dims.vectors;
    var row_of: array<array<u32, 4>, ROW_VECTORS>;
    for (var u = 0u; u < ROW_VECTORS; u++) {
        for (var o = 0u; o < 4u; o++) {
            row_of[u][o] = min(first_output + (4u * u) + o, dims.outputs - 1u) * map;
        }
    }

    let first_row = ((((split * dims.groups) + channel_group) * dims.outputs) + first_output) * dims.quads;
    let first_quad = first_row + (first_tap / 4u);
    var total: array<array<array<vec4f, COLUMN_VECTORS>, 4>, ROW_VECTORS>;
    if (dims.adds != 0u) {
        for (var u = 0u; u < ROW_VECTORS; u++) {
            for (var o = 0u; o < 4u; o++) {
                for (var v = 0u; v < COLUMN_VECTORS; v++) {
                    let out_channel = min((4u * u) + o, dims.outputs - 1u - first_output);
                    let quad = min((first_tap / 4u) + (v * LANES_ACROSS), dims.quads - 1u);
                    total[u][o][v] = sums[first_row + (out_channel * dims.quads) + quad];
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
            for (var u = 0u; u < ROW_VECTORS; u++) {
                for (var o = 0u; o < 4u; o++) {
                    let pixels = d_y[row_of[u][o] + begins.y + vec_index];
                    for (var v = 0u; v < COLUMN_VECTORS; v++) {
                        total[u][o][v] += panel[v] * pixels; // four pixels
                    }
                }
            }
        }
    }

    for (var u = 0u; u < ROW_VECTORS; u++) {
        for (var o = 0u; o < 4u; o++) {
            for (var v = 0u; v < COLUMN_VECTORS; v++) {
                let out_channel = (4u * u) + o;
                if (first_output + out_channel < dims.outputs && (first_tap / 4u) + (v * LANES_ACROSS) < dims.quads) {
                    sums[first_quad + (out_channel * dims.quads) + (v * LANES_ACROSS)] = total[u][o][v];
                }
            }
        }
    }
}
