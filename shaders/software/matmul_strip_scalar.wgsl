// needs: matmul_numbers
// Matrix product Y = A B for software rasterisers without subgroups of a known size: large register tiles.
//
// Shapes: A is [M, K] (stored [K, M] when TRANSPOSE_A), B is [K, N] (stored [N, K] when TRANSPOSE_B), Y is [M, N];
// all row-major and read number by number: any size is allowed. (The kernel without _scalar reads vec4 and is 2.3 times
// as fast; take it where the sizes allow.) Without EDGES, M and N must be multiples of the tile and K of 4.
// Needs: nothing beyond WebGPU's defaults.
// A, B, Y and `Dims` are declared in lib/matmul_numbers.wgsl.
//
// Division of work: a lane computes ROW_VECTORS x COLUMN_VECTORS blocks of 4 x 4 outputs. The lanes of a workgroup
// are arranged LANES_ACROSS wide and LANES_DOWN high on Y, so that the tile of a workgroup has 4 * ROW_VECTORS * LANES_DOWN
// rows and 4 * COLUMN_VECTORS * LANES_ACROSS columns. Grid: (ceil(N / tile columns), ceil(M / tile rows)).
//
// The idea: on a software rasteriser a load instruction costs as much as about thirty multiply-adds, whatever its
// width, because it becomes a loop over the lanes. So each number is used as often as the tile in the lane's
// registers allows: for four steps of k, 16 * (ROW_VECTORS + COLUMN_VECTORS) loads feed 64 * ROW_VECTORS *
// COLUMN_VECTORS multiply-adds. Small tiles (2 x 2, 1 x 1) are almost as fast here and compile in much less
// time.

const ROW_VECTORS: u32 = 2u; // groups of 4 rows a lane computes
const COLUMN_VECTORS: u32 = 2u; // groups of 4 columns a lane computes
const LANES_ACROSS: u32 = 4u; // lanes of a workgroup along N
const LANES_DOWN: u32 = 2u; // lanes of a workgroup along M

@compute @workgroup_size(LANES_ACROSS * LANES_DOWN)
fn main(invocation: Invocation) {
    let lane = invocation.local;
    let number = linear_group(invocation.group, invocation.groups);
    let tile = tile_at(number, 4u * ROW_VECTORS * LANES_DOWN, 4u * COLUMN_VECTORS * LANES_ACROSS);
    let first_row = tile.x + ((lane / LANES_ACROSS) * (4u * ROW_VECTORS));
    // Neighbouring lanes hold neighbouring vec4s, so that together they read whole cache lines; a lane's next vec4 of
    // columns is 4 * LANES_ACROSS further.
    let first_column = tile.y + (4u * (lane % LANES_ACROSS));

    var sums: array<array<array<vec4f, COLUMN_VECTORS>, 4>, ROW_VECTORS>;
    for (var k = 0u; k < dims.depth; k += 4u) {
        var panel: array<mat4x4f, COLUMN_VECTORS>; // of B
        for (var v = 0u; v < COLUMN_VECTORS; v++) {
            panel[v] = load_b_block(k, first_column + (v * 4u * LANES_ACROSS));
        }
        for (var u = 0u; u < ROW_VECTORS; u++) {
            for (var r = 0u; r < 4u; r++) {
                let part = load_a(first_row + (4u * u) + r, k);
                for (var v = 0u; v < COLUMN_VECTORS; v++) {
                    sums[u][r][v] += panel[v] * part; // four steps of k
                }
            }
        }
    }

    for (var u = 0u; u < ROW_VECTORS; u++) {
        for (var r = 0u; r < 4u; r++) {
            for (var v = 0u; v < COLUMN_VECTORS; v++) {
                for (var c = 0u; c < 4u; c++) {
                    let row = first_row + (4u * u) + r;
                    let column = first_column + (v * 4u * LANES_ACROSS) + c;
                    if (inside(row, column)) {
                        let index = (row * dims.columns) + column;
                        y[index] = sums[u][r][v][c];
                    }
                }
            }
        }
    }
    apply_epilogue(first_row, 4u * ROW_VECTORS, first_column, COLUMN_VECTORS, 4u * LANES_ACROSS);
}
