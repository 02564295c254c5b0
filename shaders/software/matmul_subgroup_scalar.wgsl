// needs: matmul_numbers, subgroup
// Matrix product Y = A B for software rasterisers whose subgroup is exactly 8 lanes wide (lavapipe).
//
// Shapes: A is [M, K] (stored [K, M] when TRANSPOSE_A), B is [K, N] (stored [N, K] when TRANSPOSE_B), Y is [M, N];
// all row-major and read number by number: any size is allowed. (The kernel without _scalar reads vec4 and is 1.6 times
// as fast; take it where the sizes allow.) Without EDGES, M and N must be multiples of the tile and K of 4.
// Needs: the feature SUBGROUP and an adapter whose smallest and largest subgroup are both 8 lanes.
// A, B, Y and `Dims` are declared in lib/matmul_numbers.wgsl.
//
// Division of work: a workgroup is one subgroup and computes a tile of 8 * ROW_BLOCKS rows and 32 * COLUMN_VECTORS
// columns of Y. Each lane holds all rows of the tile. Of the columns it holds COLUMN_VECTORS groups of four, which
// begin at 4 * lane, at 4 * lane + 32, and so on. Grid: (ceil(N / tile columns), ceil(M / tile rows)).
//
// The idea: on a software rasteriser a load instruction costs as much as about thirty multiply-adds, whatever its
// width, because it becomes a loop over the lanes. So each number is loaded once for the whole subgroup. For four
// steps of k the lanes share out the tile's part of A among themselves: a row of each block, 4 * ROW_BLOCKS loads.
// subgroupBroadcast, which is one shuffle of a register, then passes each number to all lanes. With 4 row blocks and 1
// column vector, 32 loads feed 512 multiply-adds. The four steps of k are innermost, so that an accumulator is
// loaded and stored once for four products, because a tile of accumulators does not fit into the registers of a CPU.

const ROW_BLOCKS: u32 = 4u; // a block is 8 rows of Y: one for each lane that loads
const COLUMN_VECTORS: u32 = 1u; // vec4s of columns a lane computes
const LANES: u32 = 8u; // the subgroup's size: a property of this kernel, not a choice

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let tile = tile_at(linear_group(group, groups), LANES * ROW_BLOCKS, 4u * LANES * COLUMN_VECTORS);
    let first_row = tile.x;
    let first_column = tile.y + (4u * lane);

    var sums: array<array<array<vec4f, COLUMN_VECTORS>, LANES>, ROW_BLOCKS>;
    for (var k = 0u; k < dims.depth; k += 4u) {
        var panel: array<mat4x4f, COLUMN_VECTORS>; // of B
        for (var v = 0u; v < COLUMN_VECTORS; v++) {
            panel[v] = load_b_block(k, first_column + (v * 4u * LANES));
        }
        for (var block = 0u; block < ROW_BLOCKS; block++) {
            let rows = in_every_lane(load_a(first_row + (block * LANES) + lane, k));
            for (var r = 0u; r < LANES; r++) {
                for (var v = 0u; v < COLUMN_VECTORS; v++) {
                    sums[block][r][v] += panel[v] * rows[r]; // four steps of k
                }
            }
        }
    }

    for (var block = 0u; block < ROW_BLOCKS; block++) {
        for (var r = 0u; r < LANES; r++) {
            for (var v = 0u; v < COLUMN_VECTORS; v++) {
                for (var c = 0u; c < 4u; c++) {
                    let row = first_row + (block * LANES) + r;
                    let column = first_column + (v * 4u * LANES) + c;
                    if (inside(row, column)) {
                        let index = (row * dims.columns) + column;
                        y[index] = sums[block][r][v][c];
                    }
                }
            }
        }
    }
    apply_epilogue(first_row, LANES * ROW_BLOCKS, first_column, COLUMN_VECTORS, 4u * LANES);
}
