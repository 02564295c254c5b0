// Natural logarithm of a positive number; the derivative is 1 / x.
fn logarithm(x: f32) -> f32 {
    return log(x);
}

fn log_backward(x: f32, d_y: f32) -> f32 {
    return d_y / x;
}
