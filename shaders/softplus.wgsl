// Softplus, ln(1 + e^x), computed as max(x, 0) + ln(1 + e^-|x|), which cannot overflow. The derivative is the sigmoid of x.
fn softplus(x: f32) -> f32 {
    return max(x, 0.0) + log(1.0 + exp(-abs(x)));
}

fn softplus_backward(x: f32, d_y: f32) -> f32 {
    let small = exp(-abs(x));
    return d_y * select(small, 1.0, x >= 0.0) / (1.0 + small);
}
