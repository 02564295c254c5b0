// needs: grid, conv2d_sides, prefetched_product
// A convolution, or its gradient by the image, rung 3: 8 x 8 outputs in the registers of each lane, and the next tile is fetched
// while this one is multiplied. A tap is one weight of the kernel: an offset (ky, kx) within an input channel.
//
// Shapes: W is [out_channels, in_channels / groups, kernel_height, kernel_width]. Forward, X is [batch, in_channels, height,
// width] and Y is [batch, out_channels, rows, columns]; with BACKWARD, X is the gradient [batch, out_channels, rows,
// columns] and Y the image's [batch, in_channels, height, width]. All row-major, any sizes and groups.
//
// The product, for each group: a row is a channel of Y, a column is a pixel of Y, counted over images, and a step of the sum is a
// tap and a channel of X.
//
// The idea: the channels of a tap are neighbouring steps, padded to a multiple of four. So a block of four steps has one tap,
// and a pixel has to be compared with the edges of X once for four numbers. They are a plane apart. The kernel's loop has no
// division, and no condition for each number.
//
// The four pixels of a vector are COLUMN_VECTORS apart, so that neighbouring lanes read, and write, neighbouring pixels.
//
// Pixels, channels of Y and taps that do not exist take the place of existing ones, so that nothing is read outside. Then their
// numbers are replaced by zero, or their sums are not stored.

const RAGGED_CHANNELS: bool = true; // whether the channels of X may be no multiple of four
const RAGGED_TILES: bool = true;    // whether the steps may be no multiple of TILE_DEPTH
const STRIDED: bool = true;         // with BACKWARD: whether a stride is above one
const BLOCK_STEPS: u32 = 4u;
const LEFT_ALONG: bool = false;
const RIGHT_ALONG: bool = false;

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn epilogue(value: f32, index: u32, channel: u32) -> f32 { return value; } // spliced

struct Tile {
    group: u32,   // of channels
    channel: u32, // the first one of Y
    pixel: u32,
}

// Channels of X in a group, with those that fill the last block.
fn padded_channels() -> u32 { return (channels_x() + 3u) & ~3u; }

// A lane's next block: four lines, which are channels of Y for W and pixels of Y for X, and four steps, which are channels of X.
struct Cursor {
    place: Place,
    channel: u32, // the first channel of X
    tap: vec2u,   // its distance from tap 0, in pixels of X
    lines: vec4u, // the index of each line's number at tap 0 and channel 0
    at: u32,      // the distance of the block's numbers from there
    pitch: u32,   // the distance between two channels
    rows: vec4u,  // for X: the position of each line at tap 0
    columns: vec4u,
}

fn first_block(place: Place, tile: Tile) -> Cursor {
    let taps = dims.kernel_height * dims.kernel_width;
    let inputs = dims.in_channels / dims.groups;
    let size = size_x();
    let pitch = select(size.x * size.y, taps * select(1u, inputs, BACKWARD), place.is_left);
    var cursor = Cursor(place, place.step, vec2u(), vec4u(), place.step * pitch, pitch, vec4u(), vec4u());
    if (place.is_left) {
        let lines = min(tile.channel + (4u * place.first_vector) + vec4u(0u, 1u, 2u, 3u), vec4u(channels_y() - 1u));
        let first = tile.group * (dims.out_channels / dims.groups) * inputs;
        cursor.lines = (first + (lines * select(inputs, 1u, BACKWARD))) * taps;
    } else {
        for (var p = 0u; p < 4u; p++) {
            let pixel = pixel_of(tile.pixel + place.first_vector + (p * COLUMN_VECTORS));
            let image = min(pixel.image, dims.batch - 1u);
            let base = ((image * dims.groups) + tile.group) * channels_x() * size.x * size.y;
            cursor.lines[p] = base + select((pixel.at.x * size.y) + pixel.at.y, 0u, BACKWARD && STRIDED);
            cursor.rows[p] = pixel.at.x;
            cursor.columns[p] = pixel.at.y;
        }
    }
    return settled(cursor);
}

// The same block with a channel that exists: steps after the last channel of a tap belong to the next tap.
fn settled(cursor: Cursor) -> Cursor {
    let channels = padded_channels();
    let dilation = vec2u(dims.dilation_y, dims.dilation_x);
    let end = dims.kernel_width * dilation.y;
    // The distance to the next tap of a row, and from the end of a row to the next row.
    var next = 1u;
    var row = 0u;
    if (!cursor.place.is_left) {
        next = select(dilation.y, 0u - dilation.y, BACKWARD);
        row = (dilation.x * size_x().y) - end;
        row = select(row, 0u - row, BACKWARD);
        if (BACKWARD && STRIDED) {
            next = 0u;
            row = 0u;
        }
    }
    var moved = cursor;
    while (moved.channel >= channels) {
        moved.channel -= channels;
        moved.at += next - (channels * moved.pitch);
        moved.tap.y += dilation.y;
        if (moved.tap.y == end) {
            moved.tap = vec2u(moved.tap.x + dilation.x, 0u);
            moved.at += row;
        }
    }
    return moved;
}

fn advance(cursor: Cursor) -> Cursor {
    var next = cursor;
    next.channel += TILE_DEPTH;
    next.at += TILE_DEPTH * cursor.pitch;
    return settled(next);
}

fn fetch(cursor: Cursor) -> Block {
    let in_sum = !RAGGED_TILES || cursor.tap.x < dims.kernel_height * dims.dilation_y;
    let four = vec4u(0u, 1u, 2u, 3u);
    var channels = four;
    if (RAGGED_CHANNELS) {
        channels = min(four, vec4u(channels_x() - 1u - cursor.channel));
    }
    let offsets = channels * cursor.pitch;
    if (cursor.place.is_left) {
        let at = select(vec4u(), cursor.lines + cursor.at, vec4<bool>(in_sum));
        let numbers = mat4x4f(
            weights(at),
            weights(at + offsets.y),
            weights(at + offsets.z),
            weights(at + offsets.w),
        );
        return Block(numbers, (channels == four) & vec4<bool>(in_sum));
    }
    // Above and left of X, coordinates wrap around to large numbers, outside X too.
    let size = size_x();
    var rows = cursor.rows + cursor.tap.x;
    var columns = cursor.columns + cursor.tap.y;
    var at = cursor.lines + cursor.at;
    var exists = vec4<bool>(in_sum);
    if (BACKWARD) {
        rows = cursor.rows - cursor.tap.x;
        columns = cursor.columns - cursor.tap.y;
        if (STRIDED) {
            let down = rows;
            let across = columns;
            rows /= vec4u(dims.stride_y);
            columns /= vec4u(dims.stride_x);
            exists = exists & ((rows * dims.stride_y) == down) & ((columns * dims.stride_x) == across);
            at += (rows * size.y) + columns;
        }
    }
    exists = exists & (rows < vec4u(size.x)) & (columns < vec4u(size.y));
    at = select(vec4u(), at, exists);
    return Block(mat4x4f(pixels(at), pixels(at + offsets.y), pixels(at + offsets.z), pixels(at + offsets.w)), exists);
}

// For W the steps that exist, for X the pixels.
fn arrange(place: Place, block: Block) -> mat4x4f {
    if (place.is_left) {
        if (RAGGED_TILES || RAGGED_CHANNELS) {
            return existing_columns(block);
        }
        return block.numbers;
    }
    let n = block.numbers;
    let zero = vec4f();
    return mat4x4f(
        select(zero, n[0], block.exists),
        select(zero, n[1], block.exists),
        select(zero, n[2], block.exists),
        select(zero, n[3], block.exists),
    );
}

fn weights(at: vec4u) -> vec4f { return vec4f(w[at.x], w[at.y], w[at.z], w[at.w]); }
fn pixels(at: vec4u) -> vec4f { return vec4f(x[at.x], x[at.y], x[at.z], x[at.w]); }

// Stores 4 x 4 sums: four channels from `channel` on, and the four pixels of the vector `first`.
fn store(sums: mat4x4f, tile: Tile, channel: u32, first: u32) {
    let map = size_y().x * size_y().y;
    let channel_y = (tile.group * channels_y()) + channel; // counted over all groups
    for (var p = 0u; p < 4u; p++) {
        let pixel = pixel_of(tile.pixel + first + (p * COLUMN_VECTORS));
        let plane = (pixel.image * dims.groups * channels_y()) + channel_y;
        for (var c = 0u; c < 4u; c++) {
            if (channel + c < channels_y() && pixel.image < dims.batch) {
                let index = ((plane + c) * map) + pixel.place;
                y[index] = epilogue(sums[c][p], index, channel_y + c);
            }
        }
    }
}

@compute @workgroup_size(LANES)
fn main(invocation: Invocation) {
    let lane = invocation.local;
    let number = linear_group(invocation.group, invocation.groups);
    // Workgroups with the same pixels are neighbours, so that X is still in a cache.
    let tiles = (channels_y() + TILE_ROWS - 1u) / TILE_ROWS;
    let rest = number / tiles;
    let tile = Tile(rest % dims.groups, (number % tiles) * TILE_ROWS, (rest / dims.groups) * TILE_COLUMNS);

    let steps = dims.kernel_height * dims.kernel_width * padded_channels();
    let first = first_block(place_of(lane, false), tile);
    let second = first_block(place_of(lane, true), tile);
    let sums = product(first, second, steps, lane);

    let at = vectors_of(lane);
    let channel = tile.channel + (4u * at.x);
    store(sums.top_left, tile, channel, at.y);
    store(sums.top_right, tile, channel, at.y + LANES_ACROSS);
    store(sums.bottom_left, tile, channel + (4u * LANES_DOWN), at.y);
    store(sums.bottom_right, tile, channel + (4u * LANES_DOWN), at.y + LANES_ACROSS);
}
