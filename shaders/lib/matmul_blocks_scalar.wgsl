// needs: matmul_numbers, register_tiles
// The same as matmul_blocks.wgsl for operands of any size: they are read number by number.
const BLOCK_STEPS: u32 = 4u;
const LEFT_ALONG: bool = !TRANSPOSE_A; // whether memory is contiguous along k
const RIGHT_ALONG: bool = TRANSPOSE_B;

struct Cursor {
    place: Place,
    step: u32,
    first: u32, // row of A or column of B
}

fn first_block(place: Place, row: u32, column: u32, begin: u32) -> Cursor {
    return Cursor(place, begin + place.step, select(column, row, place.is_left) + (4u * place.first_vector));
}

fn advance(cursor: Cursor) -> Cursor {
    return Cursor(cursor.place, cursor.step + TILE_DEPTH, cursor.first);
}

// One step of four rows of A.
fn step_of_a(row: u32, k: u32) -> vec4f {
    return vec4f(
        element_a(row, k),
        element_a(row + 1u, k),
        element_a(row + 2u, k),
        element_a(row + 3u, k),
    );
}

fn fetch(cursor: Cursor) -> Block {
    let k = cursor.step;
    var block: Block;
    if (cursor.place.is_left) {
        block.numbers = mat4x4f(
            step_of_a(cursor.first, k),
            step_of_a(cursor.first, k + 1u),
            step_of_a(cursor.first, k + 2u),
            step_of_a(cursor.first, k + 3u),
        );
    } else if (cursor.place.exists) {
        block.numbers = load_b_block(k, cursor.first);
    }
    return block;
}

// Steps that do not exist are already zero.
fn arrange(place: Place, block: Block) -> mat4x4f { return block.numbers; }

fn store_row(sums: vec4f, split: u32, row: u32, column: u32) {
    for (var c = 0u; c < 4u; c++) {
        if (row < dims.rows && column + c < dims.columns) {
            let index = (row * dims.columns) + column + c;
            y[(split * dims.rows * dims.columns) + index] = epilogue(sums[c], index, column + c);
        }
    }
}
