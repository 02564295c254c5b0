// x^2; the derivative is 2 x.
fn square(x: f32) -> f32 {
    return x * x;
}

fn square_backward(x: f32, d_y: f32) -> f32 {
    return 2.0 * x * d_y;
}
