// needs: grid, conv2d_packed
// Convolution from packed operands, for software rasterisers without subgroups of a known size.
// A tap is one weight of the kernel: an offset (ky, kx) within an input channel.
//
// Shapes: X is [images, groups, steps, packed_rows, 4 * vectors] (layout: see conv2d_pack_image.wgsl), W is
// [groups, blocks, kernel_height, quads, 8 outputs, 4 steps] (conv2d_pack_weight.wgsl), with whole tiles of blocks; Y is
// [batch, groups, outputs, rows, columns], of which this computes the images from
// `first_y` on. A step is an input channel and a tap kx. Packing
// has already applied the horizontal stride, padding and dilation.
// Needs: nothing beyond WebGPU's defaults.
// X, W, Y and `Dims` are declared in lib/conv2d_packed.wgsl.
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

    // The first index of a lane's pixels in X and in Y. Beyond the last pixel, that pixel is read again, and nothing is stored.
    let plane = dims.packed_rows * dims.vectors;
    var base: array<u32, COLUMN_VECTORS>;
    var to: array<u32, COLUMN_VECTORS>;
    var count: array<u32, COLUMN_VECTORS>;
    for (var v = 0u; v < COLUMN_VECTORS; v++) {
        let pixel = first_pixel + (v * LANES_ACROSS);
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
    // A vec4 of W belongs to one output. The vec4s of eight outputs are neighbours; the next steps follow.
    let tile_blocks = (LANES_DOWN * ROW_VECTORS) / 2u;
    let first_of_w = (channel_group * dims.tiles * tile_blocks * 8u) + first_output;

    var sums: array<array<array<vec4f, COLUMN_VECTORS>, 4>, ROW_VECTORS>;
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
                if (out_channel < outputs && count[v] > 0u) {
                    store_y(to[v] + (out_channel * map), count[v], sums[u][o][v]);
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
