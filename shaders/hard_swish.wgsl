// Hard swish: x times its hard sigmoid, x min(max(x + 3, 0), 6) / 6. The derivative is 0 up to -3, 1 from 3 on, and x / 3 + 1/2
// between them.
fn hard_swish(x: f32) -> f32 {
    return x * (clamp(x + 3.0, 0.0, 6.0) / 6.0);
}

fn hard_swish_backward(x: f32, d_y: f32) -> f32 {
    let above = select(d_y * (x / 3.0 + 0.5), d_y, x >= 3.0);
    return select(above, 0.0, x <= -3.0);
}
