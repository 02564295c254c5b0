// x^2; the derivative is 2 x.
fn square(x: f32) -> f32 {
    return x * x;
}

fn square_backward(x: f32, dy: f32) -> f32 {
    return 2.0 * x * dy;
}
