// needs: grid, pool2d
// The gradient of max-pool by its image, DX [planes, height, width], from X and DY [planes, rows, columns], for windows of
// 2 x 2 without overlap and a width that is a multiple of four. One invocation for two neighbouring windows: the largest of
// a window's four pixels (the first of equal ones) gets DY, the others get zero.
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> d_y: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> d_x: array<vec4f>;

const EDGES: bool = true; // whether the last workgroup runs past the end

fn epilogue(value: f32, index: u32) -> f32 { return value; } // spliced

// The epilogue of four neighbours, of which the first has this index.
fn epilogues(value: vec4f, index: u32) -> vec4f {
    return vec4f(
        epilogue(value.x, index),
        epilogue(value.y, index + 1u),
        epilogue(value.z, index + 2u),
        epilogue(value.w, index + 3u),
    );
}

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let index = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    if EDGES {
        if index >= dims.count {
            return;
        }
    }
    let pairs = dims.columns / 2u;
    let row_index = index / pairs; // Division is slow: two of them, and the remainders from these.
    let plane = row_index / dims.rows;
    let row = row_index - plane * dims.rows;
    // A line of X has as many vectors as one of Y has pairs.
    let place = (plane * dims.height + 2u * row) * pairs + index - row_index * pairs;
    let above = x[place];
    let under = x[place + pairs];
    let given = d_y[index];
    // For each window: whether the right pixel is larger in the upper line and in the lower line, and whether the lower
    // line has the maximum.
    let right_above = above.yw > above.xz;
    let right_under = under.yw > under.xz;
    let lower = max(under.xz, under.yw) > max(above.xz, above.yw);
    let to_above = select(given, vec2f(0.0), lower);
    let to_under = select(vec2f(0.0), given, lower);
    let left_upper = select(to_above, vec2f(0.0), right_above);
    let right_upper = select(vec2f(0.0), to_above, right_above);
    let left_lower = select(to_under, vec2f(0.0), right_under);
    let right_lower = select(vec2f(0.0), to_under, right_under);
    d_x[place] = epilogues(vec4f(left_upper.x, right_upper.x, left_upper.y, right_upper.y), 4u * place);
    d_x[place + pairs] =
        epilogues(vec4f(left_lower.x, right_lower.x, left_lower.y, right_lower.y), 4u * (place + pairs));
}
