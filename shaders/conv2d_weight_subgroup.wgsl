// needs: grid
// The gradient of a convolution by its weight from packed images, for software rasterisers whose subgroup is exactly 8
// lanes wide (lavapipe).
//
// Shapes: X is [images, groups, inputs, kernel_width, packed_rows, 4 * vectors] (conv2d_pack_image.wgsl says what
// stands where), DY is [batch, groups, outputs, rows, 4 * vectors], with zeros beyond the last column, SUMS is
// [splits, groups, outputs, 4 * quads], where a row holds the taps [inputs, kernel_height, kernel_width], filled up. The
// images are those from `first_x` and from `first_y` on.
// Needs: the feature SUBGROUP and an adapter whose smallest and largest subgroup are both 8 lanes.
//
// A matrix product of DY, with an output channel a row and a pixel a column, and the transpose of what each tap meets: few
// outputs, each a sum over all pixels of all images. Their rows are split over `splits` workgroups, whose sums are added
// in order by conv2d_sum_splits.wgsl; with `adds` a workgroup goes on from the sums of the images before.
//
// Division of work: a workgroup is one subgroup and computes 8 * ROW_BLOCKS output channels of 32 * COLUMN_VECTORS taps for
// its share of the rows. Each lane holds all channels of the tile, and of the taps the COLUMN_VECTORS groups of four
// that begin at 4 * lane, 32 further, and so on.
//
// The idea is that of matmul_subgroup.wgsl, which see. Both operands run along the sum, four pixels of a row a load; the
// taps' vectors are transposed in registers.

const ROW_BLOCKS: u32 = 4u; // a block is 8 output channels: one for each lane that loads
const COLUMN_VECTORS: u32 = 2u; // groups of four taps a lane computes
const LANES: u32 = 8u; // the subgroup's size: a property of this kernel, not a choice

struct Dims {
    first_x: u32,       // image of X
    first_y: u32,       // image of DY
    lines: u32,         // rows of all images
    share: u32,         // lines of a split
    splits: u32,
    adds: u32,          // 1: to what stands in SUMS, which are otherwise begun
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

// Where what a tap of a group meets begins in an image of X.
fn begin(tap: u32, plane: u32) -> u32 {
    let kx = tap % dims.kernel_width;
    let ky = (tap / dims.kernel_width) % dims.kernel_height;
    let input = tap / (dims.kernel_width * dims.kernel_height);
    return (((input * dims.kernel_width) + kx) * plane) + (ky * dims.dilation_y * dims.vectors);
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let taps = dims.inputs * dims.kernel_height * dims.kernel_width;
    let tap_tiles = (dims.quads + (LANES * COLUMN_VECTORS) - 1u) / (LANES * COLUMN_VECTORS);
    let output_tiles = (dims.outputs + (LANES * ROW_BLOCKS) - 1u) / (LANES * ROW_BLOCKS);
    let tile = linear_group(group, groups);
    let first_tap = ((tile % tap_tiles) * (32u * COLUMN_VECTORS)) + (4u * lane);
    let first_output = ((tile / tap_tiles) % output_tiles) * (LANES * ROW_BLOCKS);
    let channel_group = (tile / (tap_tiles * output_tiles)) % dims.groups;
    let split = tile / (tap_tiles * output_tiles * dims.groups);
    if (split >= dims.splits) {
        return; // beyond the end of a folded grid
    }

    // Beyond the last tap and the last output these are read again, and nothing is stored.
    let plane = dims.packed_rows * dims.vectors;
    var base: array<array<u32, 4>, COLUMN_VECTORS>;
    for (var v = 0u; v < COLUMN_VECTORS; v++) {
        for (var i = 0u; i < 4u; i++) {
            base[v][i] = begin(min(first_tap + (v * 32u) + i, taps - 1u), plane);
        }
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
                    let output = min((block * LANES) + o, dims.outputs - 1u - first_output);
                    let quad = min((first_tap / 4u) + (v * 8u), dims.quads - 1u);
                    total[block][o][v] = sums[first_row + (output * dims.quads) + quad];
                }
            }
        }
    }
    // On Mesa's software rasteriser all loops of an invocation together run 65,535 times at most, and then end silently: the
    // host keeps a split well below that.
    let end = min((split + 1u) * dims.share, dims.lines);
    for (var line = split * dims.share; line < end; line++) {
        let image = line / dims.rows;
        let row = line - (image * dims.rows);
        let image_x = (((dims.first_x + image) * dims.groups) + channel_group) * dims.inputs * dims.kernel_width * plane;
        let image_y = (((dims.first_y + image) * dims.groups) + channel_group) * dims.outputs * map;
        for (var vector = 0u; vector < dims.vectors; vector++) {
            let at = image_x + (row * dims.stride_y * dims.vectors) + vector;
            let at_y = image_y + (row * dims.vectors) + vector;
            var panel: array<mat4x4f, COLUMN_VECTORS>; // of X
            for (var v = 0u; v < COLUMN_VECTORS; v++) {
                panel[v] = transpose(
                    mat4x4f(x[base[v][0] + at], x[base[v][1] + at], x[base[v][2] + at], x[base[v][3] + at]),
                );
            }
            for (var block = 0u; block < ROW_BLOCKS; block++) {
                let part = d_y[row_of[block] + at_y];
                let outputs = array<vec4f, 8>(
                    subgroupBroadcast(part, 0u),
                    subgroupBroadcast(part, 1u),
                    subgroupBroadcast(part, 2u),
                    subgroupBroadcast(part, 3u),
                    subgroupBroadcast(part, 4u),
                    subgroupBroadcast(part, 5u),
                    subgroupBroadcast(part, 6u),
                    subgroupBroadcast(part, 7u),
                );
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
                let output = (block * LANES) + o;
                if (first_output + output < dims.outputs && (first_tap / 4u) + (v * 8u) < dims.quads) {
                    sums[first_quad + (output * dims.quads) + (v * 8u)] = total[block][o][v];
                }
            }
        }
    }
}
