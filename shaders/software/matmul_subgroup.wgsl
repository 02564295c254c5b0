// needs: matmul_vectors, subgroup
// Matrix product Y = A B for software rasterisers whose subgroup is exactly 8 lanes wide (lavapipe).
//
// Shapes: A is [M, K] (stored [K, M] when TRANSPOSE_A), B is [K, N] (stored [N, K] when TRANSPOSE_B), Y is [M, N];
// all row-major and read as vec4, so the contiguous dimension of each must be a multiple of 4: N for Y; K for A, or M
// when TRANSPOSE_A; N for B, or K when TRANSPOSE_B. (matmul_subgroup_scalar takes the other sizes.) Otherwise M, N
// and K are free with EDGES; without EDGES, M must be a multiple of 8 * ROW_BLOCKS, N of 32 * COLUMN_VECTORS and K of
// 4.
// Needs: the feature SUBGROUP and an adapter whose smallest and largest subgroup are both 8 lanes.
// A, B, Y and `Dims` are declared in lib/matmul_vectors.wgsl.
//
// Division of work: a workgroup is one subgroup and computes a tile of 8 * ROW_BLOCKS rows and 32 * COLUMN_VECTORS
// columns of Y. Each lane holds all rows of the tile. Of the columns it holds COLUMN_VECTORS groups of four, which
// begin at 4 * lane, at 4 * lane + 32, and so on. Grid: (ceil(N / tile columns), ceil(M / tile rows)).
//
// The idea: on a software rasteriser a load instruction costs as much as about thirty multiply-adds, whatever its
// width, because it becomes a loop over the lanes. So each number is loaded once for the whole subgroup. For four
// steps of k the lanes share out the tile's part of A among themselves: ROW_BLOCKS vec4 loads each.
// subgroupBroadcast, which is one shuffle of a register, then passes each number to all lanes. With 4 row blocks and 2
// column vectors, 12 loads feed 1024 multiply-adds. The four steps of k are innermost, so that an accumulator is
// loaded and stored once for four products, because a tile of accumulators does not fit into the registers of a CPU.

const ROW_BLOCKS: u32 = 4u; // a block is 8 rows of Y: one for each lane that loads
const COLUMN_VECTORS: u32 = 2u; // vec4s of columns a lane computes
const LANES: u32 = 8u; // the subgroup's size: a property of this kernel, not a choice

// This lane's share of the 8 rows x 4 steps of A that begin at (row, k). Beyond the edge the last valid row is read
// again (its sums are never stored), and steps of k beyond the end count as zero.
fn load_a(row: u32, k: u32, lane: u32) -> vec4f {
    if (!TRANSPOSE_A) { // one row a lane, the vec4 runs along k
        let r = select(row + lane, min(row + lane, dims.rows - 1u), EDGES);
        return a[((r * dims.depth) + k) >> 2u];
    }
    // One step of k a lane, the vec4 runs along rows: lanes 0 to 3 hold rows 0 to 3, lanes 4 to 7 rows 4 to 7.
    let r = row + (lane & 4u);
    let step = k + (lane & 3u);
    if (!EDGES) {
        return a[((step * dims.rows) + r) >> 2u];
    }
    let value = a[((min(step, dims.depth - 1u) * dims.rows) + min(r, dims.rows - 4u)) >> 2u];
    return select(vec4f(0.0), value, step < dims.depth);
}

// Turns the lanes' shares into the 8 rows, each with its 4 steps of k, in every lane.
fn share_a(part: vec4f) -> array<vec4f, 8> {
    let s = in_every_lane(part);
    if (!TRANSPOSE_A) {
        return s;
    }
    let top = transpose(mat4x4f(s[0], s[1], s[2], s[3]));
    let bottom = transpose(mat4x4f(s[4], s[5], s[6], s[7]));
    return array<vec4f, 8>(top[0], top[1], top[2], top[3], bottom[0], bottom[1], bottom[2], bottom[3]);
}

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
            panel[v] = load_b(k, first_column + (v * 4u * LANES));
        }
        for (var block = 0u; block < ROW_BLOCKS; block++) {
            let rows = share_a(load_a(first_row + (block * LANES), k, lane));
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
                let row = first_row + (block * LANES) + r;
                let column = first_column + (v * 4u * LANES);
                if (inside(row, column)) {
                    let index = (row * dims.columns) + column;
                    y[index >> 2u] = sums[block][r][v];
                }
            }
        }
    }
    apply_epilogue(first_row, LANES * ROW_BLOCKS, first_column, COLUMN_VECTORS, 4u * LANES);
}
