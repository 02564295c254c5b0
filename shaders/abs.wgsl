// Absolute value. Its derivative is the sign of x, which is 0 at 0.
fn magnitude(x: f32) -> f32 {
    return abs(x);
}

fn abs_backward(x: f32, d_y: f32) -> f32 {
    return d_y * sign(x);
}
