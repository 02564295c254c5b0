// needs: grid
// The largest pixel of each window of 2 x 2, side by side, of X [planes, height, width], as Y [planes, rows, columns], where
// X's width is a multiple of four. One invocation for two windows next to one another: a vector of four pixels from each of
// their two lines.
struct Dims {
    count: u32, // pairs of windows
    height: u32,
    width: u32,
    rows: u32,
    columns: u32,
    stride_y: u32,
    stride_x: u32,
    padding_y: u32,
    padding_x: u32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec2f>;

const EDGES: bool = true; // whether the last workgroup runs past the end

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_group(group, groups) * 64u + local;
    if EDGES {
        if index >= dims.count {
            return;
        }
    }
    let pairs = dims.columns / 2u;
    let line = index / pairs; // Division is slow: two of them, and the remainders from these.
    let plane = line / dims.rows;
    let row = line - plane * dims.rows;
    // A line of X has as many vectors as one of Y has pairs.
    let place = (plane * dims.height + 2u * row) * pairs + index - line * pairs;
    let tallest = max(x[place], x[place + pairs]);
    y[index] = max(tallest.xz, tallest.yw);
}
