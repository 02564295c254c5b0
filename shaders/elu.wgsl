// Exponential linear unit: x if positive, else alpha (e^x - 1). Near zero, e^x - 1 would lose digits, so there this uses a series
// (that of `exp` in src/ops/single.rs).
fn elu_curve(x: f32) -> f32 {
    let p = 0.5 + x * (0.16666665 + x * (0.041665796 + x * (0.008333452 + x * (0.0013982 + x * 0.00019875691))));
    return select(exp(x) - 1.0, x + x * x * p, x > -0.34);
}

fn elu(x: f32, alpha: f32) -> f32 {
    return select(alpha * elu_curve(min(x, 0.0)), x, x > 0.0);
}

fn elu_backward(x: f32, d_y: f32, alpha: f32) -> f32 {
    return d_y * select(alpha * exp(min(x, 0.0)), 1.0, x > 0.0);
}
