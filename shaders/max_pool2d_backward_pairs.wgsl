// needs: pool2d_pairs
// The gradient of max-pool by its image, DX [planes, height, width], from X and DY [planes, rows, columns], for windows of
// 2 x 2 without overlap and a width that is a multiple of four. One invocation for two neighbouring windows: the largest of
// a window's four pixels (the first of equal ones) gets DY, the others get zero.
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> d_y: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> d_x: array<vec4f>;

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

fn each(index: u32) {
    let pairs = dims.columns / 2u;
    let place = upper_pixels(index, pairs);
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
