// needs: matmul
// Matrix product Y = A B for real GPUs: tiles of A and B are in workgroup memory, a small tile of Y in each lane's
// registers.
//
// Shapes: A is [M, K] (stored [K, M] when TRANSPOSE_A), B is [K, N] (stored [N, K] when TRANSPOSE_B), Y is [M, N];
// all row-major. Any size with EDGES; without EDGES, M must be a multiple of TILE_ROWS, N of TILE_COLUMNS, K of
// TILE_DEPTH.
// Needs: WebGPU's default limits. With the default constants 256 invocations and 8.5 KiB of workgroup memory.
// Conditions on the constants: LANE_ROWS and LANE_COLUMNS are multiples of 4; TILE_ROWS is a multiple of LANE_ROWS and
// TILE_COLUMNS of LANE_COLUMNS. Not measured on hardware yet: the defaults are reasoned, not tuned.
//
// Division of work: a workgroup computes TILE_ROWS x TILE_COLUMNS outputs, a lane LANE_ROWS x LANE_COLUMNS of them,
// as blocks of 4 x 4. Grid: (ceil(N / TILE_COLUMNS), ceil(M / TILE_ROWS)).
//
// The idea has two levels. From device memory, the workgroup reads each number of the two tiles once and uses it
// TILE_COLUMNS (or TILE_ROWS) times: 64 x 64 x 16 multiply-adds for 2 x 64 x 16 loads. From workgroup memory a lane
// reads LANE_ROWS + LANE_COLUMNS numbers for LANE_ROWS * LANE_COLUMNS multiply-adds, as vec4: two loads feed 16.
//
// Coalescing: both tiles are stored with the step of k outermost and vec4s along rows (or columns). Where memory is
// contiguous along rows, neighbouring lanes fetch neighbouring vec4s; where it is contiguous along k, neighbouring
// lanes take neighbouring steps, so that each of the four loads of a lane touches runs of TILE_DEPTH numbers (64
// bytes). Each lane writes whole vec4s: WGSL does not promise that two lanes may write parts of one vec4 without a
// race.
// Bank conflicts: lanes that take neighbouring steps write to neighbouring rows of the tile. PAD makes the length of a row
// an odd number of vec4s, so that eight such lanes (the 128 bytes of one phase of a wide access) use each of the 32 banks
// once. In the product, the lanes of a row read the same vec4 of A (a broadcast) and neighbouring vec4s of B. For the same
// reason, the column blocks of neighbouring lanes are one vec4 apart, not LANE_COLUMNS.

const TILE_ROWS: u32 = 64u;
const TILE_COLUMNS: u32 = 64u;
const TILE_DEPTH: u32 = 16u; // steps of k held in workgroup memory at a time
const LANE_ROWS: u32 = 4u;
const LANE_COLUMNS: u32 = 4u;
const PAD: u32 = 1u; // unused vec4s at the end of a tile's row

const ROW_VECTORS: u32 = LANE_ROWS / 4u;
const COLUMN_VECTORS: u32 = LANE_COLUMNS / 4u;
const LANES_ACROSS: u32 = TILE_COLUMNS / LANE_COLUMNS;
const LANES_DOWN: u32 = TILE_ROWS / LANE_ROWS;
const INVOCATIONS: u32 = LANES_ACROSS * LANES_DOWN;
const A_VECTORS: u32 = TILE_ROWS / 4u; // vec4s of a step of k in the tile of A
const B_VECTORS: u32 = TILE_COLUMNS / 4u;

@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

var<workgroup> a_tile: array<array<vec4f, A_VECTORS + PAD>, TILE_DEPTH>;
var<workgroup> b_tile: array<array<vec4f, B_VECTORS + PAD>, TILE_DEPTH>;

// Beyond the edges the last valid element is read and counts as zero, by a clamp and a select instead of a branch.
fn load_a(row: u32, k: u32) -> f32 {
    let r = select(row, min(row, dims.rows - 1u), EDGES);
    let step = select(k, min(k, dims.depth - 1u), EDGES);
    let value = a[select((r * dims.depth) + step, (step * dims.rows) + r, TRANSPOSE_A)];
    return select(value, 0.0, EDGES && (row >= dims.rows || k >= dims.depth));
}

fn load_b(k: u32, column: u32) -> f32 {
    let c = select(column, min(column, dims.columns - 1u), EDGES);
    let step = select(k, min(k, dims.depth - 1u), EDGES);
    let value = b[select((step * dims.columns) + c, (c * dims.depth) + step, TRANSPOSE_B)];
    return select(value, 0.0, EDGES && (column >= dims.columns || k >= dims.depth));
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let tile_row = group.y * TILE_ROWS;
    let tile_column = group.x * TILE_COLUMNS;
    let across = lane % LANES_ACROSS;
    let down = lane / LANES_ACROSS;

    var sums: array<array<array<vec4f, COLUMN_VECTORS>, 4>, ROW_VECTORS>;
    for (var k = 0u; k < dims.depth; k += TILE_DEPTH) {
        // Fetch the two tiles, one vec4 for each lane at a time. The faster index is the contiguous one in memory.
        for (var i = lane; i < A_VECTORS * TILE_DEPTH; i += INVOCATIONS) {
            let vec_index = select(i / TILE_DEPTH, i % A_VECTORS, TRANSPOSE_A);
            let step = select(i % TILE_DEPTH, i / A_VECTORS, TRANSPOSE_A);
            let row = tile_row + (4u * vec_index);
            a_tile[step][vec_index] = vec4f(
                load_a(row, k + step),
                load_a(row + 1u, k + step),
                load_a(row + 2u, k + step),
                load_a(row + 3u, k + step),
            );
        }
        for (var i = lane; i < B_VECTORS * TILE_DEPTH; i += INVOCATIONS) {
            let vec_index = select(i % B_VECTORS, i / TILE_DEPTH, TRANSPOSE_B);
            let step = select(i / B_VECTORS, i % TILE_DEPTH, TRANSPOSE_B);
            let column = tile_column + (4u * vec_index);
            b_tile[step][vec_index] = vec4f(
                load_b(k + step, column),
                load_b(k + step, column + 1u),
                load_b(k + step, column + 2u),
                load_b(k + step, column + 3u),
            );
        }
        workgroupBarrier();

        // Each step adds the outer product of a column of A's tile and a row of B's tile to the lane's registers.
        for (var step = 0u; step < TILE_DEPTH; step++) {
            var columns: array<vec4f, COLUMN_VECTORS>;
            for (var v = 0u; v < COLUMN_VECTORS; v++) {
                columns[v] = b_tile[step][across + (v * LANES_ACROSS)];
            }
            for (var u = 0u; u < ROW_VECTORS; u++) {
                let rows = a_tile[step][down + (u * LANES_DOWN)];
                for (var v = 0u; v < COLUMN_VECTORS; v++) {
                    sums[u][0][v] += rows.x * columns[v];
                    sums[u][1][v] += rows.y * columns[v];
                    sums[u][2][v] += rows.z * columns[v];
                    sums[u][3][v] += rows.w * columns[v];
                }
            }
        }
        workgroupBarrier();
    }

    for (var u = 0u; u < ROW_VECTORS; u++) {
        for (var r = 0u; r < 4u; r++) {
            for (var v = 0u; v < COLUMN_VECTORS; v++) {
                for (var c = 0u; c < 4u; c++) {
                    let row = tile_row + (4u * (down + (u * LANES_DOWN))) + r;
                    let column = tile_column + (4u * (across + (v * LANES_ACROSS))) + c;
                    if (inside(row, column)) {
                        let index = (row * dims.columns) + column;
                        y[index] = epilogue(sums[u][r][v][c], index);
                    }
                }
            }
        }
    }
}
