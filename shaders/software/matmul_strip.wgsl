// needs: matmul_vectors
// Matrix product Y = A B for software rasterisers without subgroups of a known size: large register tiles.
//
// Shapes: A is [M, K] (stored [K, M] when TRANSPOSE_A), B is [K, N] (stored [N, K] when TRANSPOSE_B), Y is [M, N];
// all row-major and read as vec4, so the contiguous dimension of each must be a multiple of 4: N for Y; K for A, or M
// when TRANSPOSE_A; N for B, or K when TRANSPOSE_B. (matmul_strip_scalar takes the other sizes.) Otherwise M, N and K
// are free with EDGES; without EDGES, M and N must be multiples of the workgroup's tile and K of 4.
// Needs: nothing beyond WebGPU's defaults.
// A, B, Y and `Dims` are declared in lib/matmul_vectors.wgsl.
//
// Division of work: a lane computes ROW_VECTORS x COLUMN_VECTORS blocks of 4 x 4 outputs. The lanes of a workgroup
// are arranged LANES_ACROSS wide and LANES_DOWN high on Y, so that the tile of a workgroup has 4 * ROW_VECTORS * LANES_DOWN
// rows and 4 * COLUMN_VECTORS * LANES_ACROSS columns. Grid: (ceil(N / tile columns), ceil(M / tile rows)).
//
// The idea: on a software rasteriser a load instruction costs as much as about thirty multiply-adds, whatever its
// width, because it becomes a loop over the lanes. So loads are vec4, and each number is used as often as the tile
// allows: for four steps of k, 4 * (ROW_VECTORS + COLUMN_VECTORS) loads feed 64 * ROW_VECTORS * COLUMN_VECTORS
// multiply-adds, 32 per load with 4 x 4 blocks. Each operand is handled in blocks of 4 x 4: reading a transposed
// matrix is the same four loads and a transposition in registers, which costs nothing.

const ROW_VECTORS: u32 = 4u; // groups of 4 rows a lane computes
const COLUMN_VECTORS: u32 = 4u; // groups of 4 columns a lane computes
const LANES_ACROSS: u32 = 4u; // lanes of a workgroup along N
const LANES_DOWN: u32 = 2u; // lanes of a workgroup along M

// Beyond the edges the last valid rows and columns are read again (their sums are never stored), and steps of k beyond
// the end count as zero in A. Such steps exist only if neither vec4 runs along k.
const DEPTH_EDGE: bool = EDGES && TRANSPOSE_A && !TRANSPOSE_B;

// 4 rows x 4 steps of A from (row, k) on: column i of the result is row + i.
fn load_a(row: u32, k: u32) -> mat4x4f {
    if (TRANSPOSE_A) {
        let r = select(row, min(row, dims.rows - 4u), EDGES);
        let last = select(k + 3u, dims.depth - 1u, DEPTH_EDGE);
        var steps = mat4x4f(
            a[((k * dims.rows) + r) >> 2u],
            a[((min(k + 1u, last) * dims.rows) + r) >> 2u],
            a[((min(k + 2u, last) * dims.rows) + r) >> 2u],
            a[((min(k + 3u, last) * dims.rows) + r) >> 2u],
        );
        if (DEPTH_EDGE) {
            steps[1] = select(vec4f(0.0), steps[1], k + 1u <= last);
            steps[2] = select(vec4f(0.0), steps[2], k + 2u <= last);
            steps[3] = select(vec4f(0.0), steps[3], k + 3u <= last);
        }
        return transpose(steps);
    }
    let last = select(row + 3u, dims.rows - 1u, EDGES);
    return mat4x4f(
        a[((min(row, last) * dims.depth) + k) >> 2u],
        a[((min(row + 1u, last) * dims.depth) + k) >> 2u],
        a[((min(row + 2u, last) * dims.depth) + k) >> 2u],
        a[((min(row + 3u, last) * dims.depth) + k) >> 2u],
    );
}

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
            panel[v] = load_b(k, first_column + (v * 4u * LANES_ACROSS));
        }
        for (var u = 0u; u < ROW_VECTORS; u++) {
            let rows = load_a(first_row + (4u * u), k);
            for (var r = 0u; r < 4u; r++) {
                for (var v = 0u; v < COLUMN_VECTORS; v++) {
                    sums[u][r][v] += panel[v] * rows[r]; // four steps of k
                }
            }
        }
    }

    for (var u = 0u; u < ROW_VECTORS; u++) {
        for (var r = 0u; r < 4u; r++) {
            for (var v = 0u; v < COLUMN_VECTORS; v++) {
                let row = first_row + (4u * u) + r;
                let column = first_column + (v * 4u * LANES_ACROSS);
                if (inside(row, column)) {
                    let index = (row * dims.columns) + column;
                    y[index >> 2u] = sums[u][r][v];
                }
            }
        }
    }
    apply_epilogue(first_row, 4u * ROW_VECTORS, first_column, COLUMN_VECTORS, 4u * LANES_ACROSS);
}
