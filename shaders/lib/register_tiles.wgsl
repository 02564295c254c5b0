// What every kernel of a large product shares: tiles of both matrices in workgroup memory, and 8 x 8 outputs in the
// registers of each lane. The left matrix is [rows, steps], the right one [steps, columns]; a step is one index of the sum.
// A kernel says only where the numbers of its matrices are. A convolution's matrices are never stored in full.
//
// Division of work: a workgroup computes TILE_ROWS x TILE_COLUMNS outputs. Workgroup memory holds TILE_DEPTH steps of both
// matrices at a time, in vec4s: four rows of one step of the left matrix, or four columns of one step of the right one. A lane
// has two such vectors of rows and two of columns. So in each step it reads four vec4s for 64 multiply-adds.
//
// Each lane also fetches one or two blocks of 16 numbers for the tiles. With one, the first LEFT_BLOCKS lanes fetch from the left
// matrix, the next ones from the right. With two (TWO_BLOCKS), the first is from the right matrix and the second from the left. The
// kernel says what a block is:
//   BLOCK_STEPS = 4: four steps of one vector. Lanes take neighbouring vectors, or, with LEFT_ALONG or RIGHT_ALONG,
//     neighbouring steps: whichever are neighbours in memory.
//   BLOCK_STEPS = 1: one step of four vectors. Neighbouring lanes take neighbouring steps.
//
// Conditions: TILE_DEPTH is 8 or 16, and the sides are multiples of 16. There is a lane for each block, or as many lanes as blocks of the
// right matrix.
// Needs: 4 * TILE_DEPTH * (TILE_ROWS + TILE_COLUMNS) bytes of workgroup memory, 16 KiB with these constants.
const TILE_ROWS: u32 = 128u;
const TILE_COLUMNS: u32 = 128u;
const TILE_DEPTH: u32 = 16u;

const ROW_VECTORS: u32 = TILE_ROWS / 4u;
const COLUMN_VECTORS: u32 = TILE_COLUMNS / 4u;
const LANES_DOWN: u32 = TILE_ROWS / 8u;
const LANES_ACROSS: u32 = TILE_COLUMNS / 8u;
const LANES: u32 = LANES_DOWN * LANES_ACROSS;
const LEFT_BLOCKS: u32 = ROW_VECTORS * (TILE_DEPTH / 4u);
const RIGHT_BLOCKS: u32 = COLUMN_VECTORS * (TILE_DEPTH / 4u);
const BLOCKS: u32 = LEFT_BLOCKS + RIGHT_BLOCKS;
const TWO_BLOCKS: bool = BLOCKS > LANES;
const_assert !TWO_BLOCKS || (RIGHT_BLOCKS == LANES && LEFT_BLOCKS <= LANES);

var<workgroup> left_tile: array<array<vec4f, ROW_VECTORS>, TILE_DEPTH>;
var<workgroup> right_tile: array<array<vec4f, COLUMN_VECTORS>, TILE_DEPTH>;

// The block that a lane fetches, with its first vector and its first step in the tile.
struct Place {
    is_left: bool,
    exists: bool,
    first_vector: u32,
    step: u32,
}

// `second` is whether it is the second block of the lane.
fn place_of(lane: u32, second: bool) -> Place {
    let is_left = select(lane < LEFT_BLOCKS, second, TWO_BLOCKS);
    let number = select(lane - LEFT_BLOCKS, lane, is_left || TWO_BLOCKS);
    let exists = select(BLOCKS == LANES || lane < BLOCKS, !second || LEFT_BLOCKS == LANES || lane < LEFT_BLOCKS, TWO_BLOCKS);
    if (BLOCK_STEPS == 1u) {
        return Place(is_left, exists, 4u * (number / TILE_DEPTH), number % TILE_DEPTH);
    }
    if (select(RIGHT_ALONG, LEFT_ALONG, is_left)) {
        return Place(is_left, exists, number / (TILE_DEPTH / 4u), 4u * (number % (TILE_DEPTH / 4u)));
    }
    let vectors = select(COLUMN_VECTORS, ROW_VECTORS, is_left);
    return Place(is_left, exists, number % vectors, 4u * (number / vectors));
}

// A block as it comes from memory, in the order of the kernel, and what of it exists. It is not touched before it is stored:
// whatever reads a number waits for it.
struct Block {
    numbers: mat4x4f,
    exists: vec4<bool>,
}

// The columns that exist, and zeros.
fn existing_columns(block: Block) -> mat4x4f {
    let n = block.numbers;
    let zero = vec4f();
    return mat4x4f(
        select(zero, n[0], block.exists.x),
        select(zero, n[1], block.exists.y),
        select(zero, n[2], block.exists.z),
        select(zero, n[3], block.exists.w),
    );
}

// Stores a block. Column i of the matrix is the block's step i, or its vector i.
fn store_block(place: Place, block: mat4x4f) {
    let next = select(vec2u(0u, 1u), vec2u(1u, 0u), BLOCK_STEPS == 4u); // step, vector
    let s = place.step;
    let v = place.first_vector;
    if (!place.exists) {
        return;
    }
    if (place.is_left) {
        left_tile[s][v] = block[0];
        left_tile[s + next.x][v + next.y] = block[1];
        left_tile[s + (2u * next.x)][v + (2u * next.y)] = block[2];
        left_tile[s + (3u * next.x)][v + (3u * next.y)] = block[3];
    } else {
        right_tile[s][v] = block[0];
        right_tile[s + next.x][v + next.y] = block[1];
        right_tile[s + (2u * next.x)][v + (2u * next.y)] = block[2];
        right_tile[s + (3u * next.x)][v + (3u * next.y)] = block[3];
    }
}

// The outputs of a lane: 2 x 2 blocks of 4 x 4. Column i of a matrix is row i of its block. Matrices, not arrays with a loop
// index: a compiler that does not unroll the loop would put an array into memory.
struct Sums {
    top_left: mat4x4f,
    top_right: mat4x4f,
    bottom_left: mat4x4f,
    bottom_right: mat4x4f,
}

fn outer(rows: vec4f, columns: vec4f) -> mat4x4f {
    return mat4x4f(rows.x * columns, rows.y * columns, rows.z * columns, rows.w * columns);
}

// The lane's first vector of rows, and of columns, in the tile. The second ones are LANES_DOWN and LANES_ACROSS further, so
// that neighbouring lanes read neighbouring vec4s.
fn vectors_of(lane: u32) -> vec2u { return vec2u(lane / LANES_ACROSS, lane % LANES_ACROSS); }

// Adds the products of one step.
fn add_step(sums: Sums, step: u32, at: vec2u) -> Sums {
    let top = left_tile[step][at.x];
    let bottom = left_tile[step][at.x + LANES_DOWN];
    let left = right_tile[step][at.y];
    let right = right_tile[step][at.y + LANES_ACROSS];
    return Sums(
        sums.top_left + outer(top, left),
        sums.top_right + outer(top, right),
        sums.bottom_left + outer(bottom, left),
        sums.bottom_right + outer(bottom, right),
    );
}

// Adds the products of the tiles in workgroup memory. Eight steps in a row, because compilers unroll no loop of this length: so
// the counter costs little. The mask tells the compiler how large `step` can be. Then the places of the eight steps are constant
// offsets of load instructions, not sums.
fn add_tiles(sums: Sums, lane: u32) -> Sums {
    let at = vectors_of(lane);
    var total = sums;
    for (var counter = 0u; counter < TILE_DEPTH; counter += 8u) {
        let step = counter & (TILE_DEPTH - 8u);
        total = add_step(total, step, at);
        total = add_step(total, step + 1u, at);
        total = add_step(total, step + 2u, at);
        total = add_step(total, step + 3u, at);
        total = add_step(total, step + 4u, at);
        total = add_step(total, step + 5u, at);
        total = add_step(total, step + 6u, at);
        total = add_step(total, step + 7u, at);
    }
    return total;
}
