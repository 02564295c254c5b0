// needs: grid, conv2d, ordered_sum
// The gradient of a convolution by its weight, for groups of few channels, of which a depthwise convolution has one each.
// A tap is one weight of the kernel: an offset (ky, kx) within an input channel.
//
// Shapes: X is [batch, in_channels, height, width], DY is [batch, out_channels, rows, columns], D_W is [splits, out_channels,
// in_channels / groups, kernel_height, kernel_width]; all row-major, any sizes and groups.
//
// There are few sums, each of a product for every output of every image, and no tile of channels to share them. So a workgroup has one
// pair of an output channel and an input channel, a share of `share` of the outputs of all images, and a block of at most 3 x 4 taps:
// for most layers the whole kernel. sum_splits.wgsl adds the sums of the `splits` shares in order.
//
// Division of work: neighbouring lanes read neighbouring outputs. A lane loads the gradient of its output once, multiplies it with the
// pixels under all taps of the block, and keeps their sums in registers. In the end the lanes are added in order.

// Taps of a block. The fourth column costs nothing if there are three.
const TAP_ROWS: u32 = 3u;
const TAP_COLUMNS: u32 = 4u;

const LANES: u32 = 64u;
const MOST_TAPS: u32 = 12u; // of a block

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_w: array<f32>;

var<workgroup> lane_sums: array<f32, LANES * MOST_TAPS>;

fn term(i: u32) -> f32 { return lane_sums[i]; }

// An output of the batch.
struct Place {
    image: u32,
    row: u32,
    column: u32,
}

fn place_of(number: u32) -> Place {
    let row_number = number / dims.columns; // over all images
    let image = row_number / dims.rows;
    return Place(image, row_number - image * dims.rows, number - row_number * dims.columns);
}

// The output as many further on as `distance` is the number of: by carrying, without a division.
fn moved(place: Place, distance: Place) -> Place {
    let column = place.column + distance.column;
    let next_row = column >= dims.columns;
    let row = place.row + distance.row + select(0u, 1u, next_row);
    let next_image = row >= dims.rows;
    return Place(
        place.image + distance.image + select(0u, 1u, next_image),
        row - select(0u, dims.rows, next_image),
        column - select(0u, dims.columns, next_row),
    );
}

// The pixels under a row of taps, whose row of X begins at `first`. Those outside X are zero.
fn pixels(first: u32, row_exists: bool, column: u32) -> vec4f {
    let four = vec4u(0u, 1u, 2u, 3u);
    // Left of X this wraps around to a large number, which is outside too.
    let columns = column + four * dims.dilation_x;
    let exist = (columns < vec4u(dims.width)) & (four < vec4u(TAP_COLUMNS)) & vec4<bool>(row_exists);
    let at = select(vec4u(), first + columns, exist);
    return select(vec4f(), vec4f(x[at.x], x[at.y], x[at.z], x[at.w]), exist);
}

fn keep(first: u32, sums: vec4f) {
    lane_sums[first] = sums.x;
    lane_sums[first + 1u] = sums.y;
    lane_sums[first + 2u] = sums.z;
    lane_sums[first + 3u] = sums.w;
}

@compute @workgroup_size(LANES)
fn main(invocation: Invocation) {
    let lane = invocation.local;
    let number = linear_group(invocation.group, invocation.groups);
    let across = (dims.kernel_width + TAP_COLUMNS - 1u) / TAP_COLUMNS;
    let blocks = across * ((dims.kernel_height + TAP_ROWS - 1u) / TAP_ROWS);
    let inputs = dims.in_channels / dims.groups;
    let pairs = dims.out_channels * inputs;
    // Workgroups with the same pixels are neighbours.
    let block = number % blocks;
    let pair = (number / blocks) % pairs;
    let split = number / (blocks * pairs);
    let exists = split < dims.splits; // a folded grid may be larger

    let first_tap = vec2u((block / across) * TAP_ROWS, (block % across) * TAP_COLUMNS);
    let out_channel = pair / inputs;
    let in_channel = (out_channel / (dims.out_channels / dims.groups)) * inputs + pair % inputs;
    let corner = first_tap * vec2u(dims.dilation_y, dims.dilation_x) - vec2u(dims.padding_y, dims.padding_x);
    let begin = split * dims.share + lane;
    let outputs = dims.batch * dims.rows * dims.columns;
    let end = select(0u, min((split + 1u) * dims.share, outputs), exists);

    let distance = place_of(LANES);
    var place = place_of(begin);
    var sums = mat3x4f();
    for (var i = begin; i < end; i += LANES) {
        let plane = place.image * dims.out_channels + out_channel;
        let gradient = d_y[(plane * dims.rows + place.row) * dims.columns + place.column];
        let in_plane = (place.image * dims.in_channels + in_channel) * dims.height;
        let column = place.column * dims.stride_x + corner.y;
        // Above X these wrap around, too.
        let top = place.row * dims.stride_y + corner.x;
        let middle = top + dims.dilation_y;
        let bottom = middle + dims.dilation_y;
        sums[0] += gradient * pixels((in_plane + top) * dims.width, top < dims.height, column);
        if (TAP_ROWS > 1u) {
            sums[1] += gradient * pixels((in_plane + middle) * dims.width, middle < dims.height, column);
        }
        if (TAP_ROWS > 2u) {
            sums[2] += gradient * pixels((in_plane + bottom) * dims.width, bottom < dims.height, column);
        }
        place = moved(place, distance);
    }

    keep(lane * MOST_TAPS, sums[0]);
    keep(lane * MOST_TAPS + 4u, sums[1]);
    keep(lane * MOST_TAPS + 8u, sums[2]);
    workgroupBarrier();
    let tap = vec2u(lane / 4u, lane % 4u);
    let at = first_tap + tap;
    let in_block = tap.x < TAP_ROWS && tap.y < TAP_COLUMNS;
    if (exists && in_block && at.x < dims.kernel_height && at.y < dims.kernel_width) {
        let index = ((split * pairs + pair) * dims.kernel_height + at.x) * dims.kernel_width + at.y;
        d_w[index] = ordered_sum(lane, MOST_TAPS, LANES);
    }
}
