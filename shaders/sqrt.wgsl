// Square root of a positive number; the derivative needs only the result: 1 / (2 y).
fn square_root(x: f32) -> f32 {
    return sqrt(x);
}

fn sqrt_backward(y: f32, d_y: f32) -> f32 {
    return 0.5 * d_y / y;
}
