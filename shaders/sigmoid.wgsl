// Logistic sigmoid, 1 / (1 + e^-x). The derivative needs only the result: y (1 - y).
fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(-x));
}

fn sigmoid_backward(y: f32, d_y: f32) -> f32 {
    return d_y * y * (1.0 - y);
}
