// needs: grid, conv2d, prefetched_product
// The gradient of a convolution by its weight, rung 3: 8 x 8 outputs in the registers of each lane, and the next tile is
// fetched while this one is multiplied. A tap is one weight of the kernel: an offset (ky, kx) within an input channel.
//
// Shapes: X is [batch, in_channels, height, width], DY is [batch, out_channels, rows, columns], SUMS is [splits,
// out_channels, in_channels / groups, kernel_height, kernel_width]; all row-major, any sizes and groups.
//
// The product, for each group: a row is an output channel, a column is a tap and an input channel, and a step of the sum is a
// pixel of DY. The result has few tiles, which alone would leave most of a GPU idle. So the pixels are split into `splits`
// shares of `share` pixels. sum_splits.wgsl adds the sums of the shares in order.
//
// The idea: a lane fetches one pixel's numbers of 16 lines. So it finds the pixel's place once for 16 numbers, without a
// division, and neighbouring lanes read neighbouring pixels. The channels of a tap are neighbouring columns, padded to a multiple
// of four. So a pixel has to be compared with the edges of X once for the four numbers of a vector.
//
// Channels and taps that do not exist take the place of existing ones. Their sums are not stored. Pixels that do not exist
// count as zero.

const BLOCK_STEPS: u32 = 1u;
const LEFT_ALONG: bool = true;
const RIGHT_ALONG: bool = true;

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;

// Whether the channels of a group of X, or of DY, may be no multiple of four.
const RAGGED_INPUTS: bool = true;
const RAGGED_OUTPUTS: bool = true;
// Whether the pixels of a split may be no multiple of TILE_DEPTH.
const RAGGED_TILES: bool = true;

struct Tile {
    group: u32,       // of channels
    out_channel: u32, // the first one
    column: u32,
    split: u32,
}

// A column of the product: an input channel of the group, and a tap.
struct Column {
    channel: u32,
    tap: vec2u,
}

fn column_of(number: u32) -> Column {
    let padded = ((dims.in_channels / dims.groups) + 3u) & ~3u;
    let tap = number / padded;
    let ky = tap / dims.kernel_width;
    return Column(number - (tap * padded), vec2u(ky, tap - (ky * dims.kernel_width)));
}

// A lane's next block: a pixel of DY, and four vectors of channels.
struct Cursor {
    place: Place,
    pixel: u32,
    end: u32,      // of the split
    row: u32,      // of the pixel
    column: u32,
    at: u32,       // the index of the pixel's number in channel 0 of the group: in DY, or in X at the kernel's corner
    lines: vec4u,  // the distance from there of each vector's first number
    exist: vec4u,  // how many channels each vector has, if it may be fewer than four
    taps_y: vec4u, // for X: each vector's tap, from the kernel's corner
    taps_x: vec4u,
}

fn first_block(place: Place, tile: Tile) -> Cursor {
    let pixel = (tile.split * dims.share) + place.step;
    let rows = pixel / dims.columns;
    let image = rows / dims.rows;
    let row = rows - (image * dims.rows);
    let column = pixel - (rows * dims.columns);
    let end = min((tile.split + 1u) * dims.share, dims.batch * dims.rows * dims.columns);
    let inputs = dims.in_channels / dims.groups;
    let outputs = dims.out_channels / dims.groups;
    let plane = ((image * dims.groups) + tile.group) * select(inputs, outputs, place.is_left);
    let of_x = (((plane * dims.height) + (row * dims.stride_y) - dims.padding_y) * dims.width) + (column * dims.stride_x) - dims.padding_x;
    let of_dy = (((plane * dims.rows) + row) * dims.columns) + column;
    var cursor = Cursor(
        place,
        pixel,
        end,
        row,
        column,
        select(of_x, of_dy, place.is_left),
        vec4u(),
        vec4u(),
        vec4u(),
        vec4u(),
    );
    for (var v = 0u; v < 4u; v++) {
        if (place.is_left) {
            let last = outputs - select(4u, 1u, RAGGED_OUTPUTS);
            let channel = min(tile.out_channel + (4u * (place.first_vector + v)), last);
            cursor.lines[v] = channel * dims.rows * dims.columns;
            cursor.exist[v] = outputs - channel;
        } else {
            let first = column_of(tile.column + (4u * (place.first_vector + v)));
            let tap = first.tap * vec2u(dims.dilation_y, dims.dilation_x);
            cursor.lines[v] = (((first.channel * dims.height) + tap.x) * dims.width) + tap.y;
            cursor.exist[v] = inputs - first.channel;
            // A tap that does not exist is outside X.
            cursor.taps_y[v] = select(tap.x, OUTSIDE, first.tap.x >= dims.kernel_height);
            cursor.taps_x[v] = tap.y;
        }
    }
    return cursor;
}

const OUTSIDE: u32 = 1u << 30u;

fn advance(cursor: Cursor) -> Cursor {
    var next = cursor;
    let is_left = cursor.place.is_left;
    let outputs = dims.out_channels * dims.rows * dims.columns;
    let inputs = dims.in_channels * dims.height * dims.width;
    let row = dims.stride_y * dims.width;
    next.pixel += TILE_DEPTH;
    next.column += TILE_DEPTH;
    next.at += TILE_DEPTH * select(dims.stride_x, 1u, is_left);
    // From the end of a row to the next row, and from the end of an image to the next image.
    while (next.column >= dims.columns) {
        next.column -= dims.columns;
        next.row += 1u;
        next.at += select(row - (dims.columns * dims.stride_x), 0u, is_left);
    }
    while (next.row >= dims.rows) {
        next.row -= dims.rows;
        next.at += select(inputs - (dims.rows * row), outputs - (dims.rows * dims.columns), is_left);
    }
    return next;
}

// The distances of a vector's channels from its first one. Channels that do not exist are the last one.
fn offsets(exist: u32, plane: u32, ragged: bool) -> vec4u {
    let four = vec4u(0u, 1u, 2u, 3u);
    return select(four, min(four, vec4u(exist - 1u)), ragged) * plane;
}

fn outputs(at: u32, exist: u32) -> vec4f {
    let i = at + offsets(exist, dims.rows * dims.columns, RAGGED_OUTPUTS);
    return vec4f(d_y[i.x], d_y[i.y], d_y[i.z], d_y[i.w]);
}

fn inputs(at: u32, exist: u32) -> vec4f {
    let i = at + offsets(exist, dims.height * dims.width, RAGGED_INPUTS);
    return vec4f(x[i.x], x[i.y], x[i.z], x[i.w]);
}

fn fetch(cursor: Cursor) -> Block {
    var exists = vec4<bool>(!RAGGED_TILES || cursor.pixel < cursor.end);
    let e = cursor.exist;
    if (cursor.place.is_left) {
        let at = select(vec4u(), cursor.at + cursor.lines, exists);
        return Block(mat4x4f(outputs(at.x, e.x), outputs(at.y, e.y), outputs(at.z, e.z), outputs(at.w, e.w)), exists);
    }
    // Above and left of X, coordinates wrap around to large numbers, outside X too.
    let rows = ((cursor.row * dims.stride_y) - dims.padding_y) + cursor.taps_y;
    let columns = ((cursor.column * dims.stride_x) - dims.padding_x) + cursor.taps_x;
    exists = exists & (rows < vec4u(dims.height)) & (columns < vec4u(dims.width));
    let at = select(vec4u(), cursor.at + cursor.lines, exists);
    return Block(mat4x4f(inputs(at.x, e.x), inputs(at.y, e.y), inputs(at.z, e.z), inputs(at.w, e.w)), exists);
}

fn arrange(place: Place, block: Block) -> mat4x4f {
    if (place.is_left && !RAGGED_TILES) {
        return block.numbers;
    }
    return existing_columns(block);
}

// Stores 4 x 4 sums: four output channels, and the four columns from `number` on.
fn store(block: mat4x4f, tile: Tile, out_channel: u32, number: u32) {
    let inputs = dims.in_channels / dims.groups;
    let outputs = dims.out_channels / dims.groups;
    let column = column_of(number);
    let taps = dims.kernel_height * dims.kernel_width;
    for (var o = 0u; o < 4u; o++) {
        for (var c = 0u; c < 4u; c++) {
            if (out_channel + o < outputs && column.channel + c < inputs && column.tap.x < dims.kernel_height) {
                let row = (((tile.split * dims.groups) + tile.group) * outputs) + out_channel + o;
                let tap = (column.tap.x * dims.kernel_width) + column.tap.y;
                sums[(((row * inputs) + column.channel + c) * taps) + tap] = block[o][c];
            }
        }
    }
}

@compute @workgroup_size(LANES)
fn main(invocation: Invocation) {
    let lane = invocation.local;
    let number = linear_group(invocation.group, invocation.groups);
    let columns = dims.kernel_height * dims.kernel_width * (((dims.in_channels / dims.groups) + 3u) & ~3u);
    let across = (columns + TILE_COLUMNS - 1u) / TILE_COLUMNS;
    let down = ((dims.out_channels / dims.groups) + TILE_ROWS - 1u) / TILE_ROWS;
    // Workgroups with the same pixels are neighbours.
    let rest = number / (across * down);
    let at = vec2u((number / across) % down, number % across);
    let tile = Tile(rest % dims.groups, at.x * TILE_ROWS, at.y * TILE_COLUMNS, rest / dims.groups);
    if (tile.split >= dims.splits) {
        return; // a folded grid may be larger
    }

    let first = first_block(place_of(lane, false), tile);
    let second = first_block(place_of(lane, true), tile);
    // The last split may have fewer pixels.
    let pixels = dims.batch * dims.rows * dims.columns;
    let steps = min(dims.share, pixels - min(tile.split * dims.share, pixels));
    let total = product(first, second, steps, lane);

    let vectors = vectors_of(lane);
    let out_channel = tile.out_channel + (4u * vectors.x);
    let column = tile.column + (4u * vectors.y);
    store(total.top_left, tile, out_channel, column);
    store(total.top_right, tile, out_channel, column + (4u * LANES_ACROSS));
    store(total.bottom_left, tile, out_channel + (4u * LANES_DOWN), column);
    store(total.bottom_right, tile, out_channel + (4u * LANES_DOWN), column + (4u * LANES_ACROSS));
}
