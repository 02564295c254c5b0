// needs: matmul, register_tiles
// The operands of a matrix product in blocks of 4 x 4 numbers, read as vec4.
//
// Rows and columns outside Y are read from the last ones inside. Their sums are computed, but not stored. So only the end of
// the sum needs a condition.
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

const BLOCK_STEPS: u32 = 4u;
const LEFT_ALONG: bool = !TRANSPOSE_A; // whether vec4s lie along k
const RIGHT_ALONG: bool = TRANSPOSE_B;

// Whether K may be no multiple of TILE_DEPTH.
const RAGGED_TILES: bool = true;

// A lane's next block: its first step, and the index of four vec4s, one for each row or column if they lie along k, else one
// for each step.
struct Cursor {
    place: Place,
    step: u32,
    at: vec4u,
}

// The block at a place of the tile, in the steps from `begin` on, for the tile whose first output is at (row, column).
fn first_block(place: Place, row: u32, column: u32, begin: u32) -> Cursor {
    let step = begin + place.step;
    let first = select(column, row, place.is_left) + (4u * place.first_vector);
    let count = select(dims.columns, dims.rows, place.is_left);
    let four = vec4u(0u, 1u, 2u, 3u);
    let along = (min(first + four, vec4u(count - 1u)) * dims.depth) + step;
    let across = ((step + four) * count) + min(first, count - 4u);
    return Cursor(place, step, select(across, along, select(RIGHT_ALONG, LEFT_ALONG, place.is_left)) / 4u);
}

fn advance(cursor: Cursor) -> Cursor {
    let count = select(dims.columns, dims.rows, cursor.place.is_left);
    let distance = TILE_DEPTH * select(count, 1u, select(RIGHT_ALONG, LEFT_ALONG, cursor.place.is_left));
    return Cursor(cursor.place, cursor.step + TILE_DEPTH, cursor.at + (distance / 4u));
}

fn fetch(cursor: Cursor) -> Block {
    var at = cursor.at;
    var block: Block;
    if (RAGGED_TILES) {
        block.exists = cursor.step + vec4u(0u, 1u, 2u, 3u) < vec4u(dims.depth);
        // If vec4s lie along k, K is a multiple of four, and all four steps exist or none.
        at = select(vec4u(), at, block.exists);
    }
    if (cursor.place.is_left) {
        block.numbers = mat4x4f(a[at.x], a[at.y], a[at.z], a[at.w]);
    } else if (cursor.place.exists) {
        block.numbers = mat4x4f(b[at.x], b[at.y], b[at.z], b[at.w]);
    }
    return block;
}

fn arrange(place: Place, block: Block) -> mat4x4f {
    var steps = block;
    if (select(RIGHT_ALONG, LEFT_ALONG, place.is_left)) {
        steps.numbers = transpose(block.numbers);
    }
    if (RAGGED_TILES) {
        return existing_columns(steps);
    }
    return steps.numbers;
}

fn store_row(sums: vec4f, split: u32, row: u32, column: u32) {
    if (row < dims.rows && column < dims.columns) {
        let index = (row * dims.columns) + column;
        y[((split * dims.rows * dims.columns) + index) / 4u] = finish(sums, index, column);
    }
}
