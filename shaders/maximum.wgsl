// The larger of two numbers. Its gradient goes to the larger one, and in halves to equal ones.
fn maximum(a: f32, b: f32) -> f32 {
    return max(a, b);
}

fn larger_gradient(a: f32, b: f32, d_y: f32) -> f32 {
    return select(select(d_y, 0.5 * d_y, a == b), 0.0, a < b);
}
