// x times its sigmoid, x / (1 + e^-x). With s = sigmoid(x), the derivative is s (1 + x (1 - s)).
fn silu(x: f32) -> f32 {
    return x / (1.0 + exp(-x));
}

fn silu_backward(x: f32, d_y: f32) -> f32 {
    let gate = 1.0 / (1.0 + exp(-x));
    return d_y * gate * (1.0 + x * (1.0 - gate));
}
