// Logistic sigmoid, 1 / (1 + e^-x). Its derivative needs the result alone: y (1 - y).
fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(-x));
}

fn sigmoid_backward(y: f32, dy: f32) -> f32 {
    return dy * y * (1.0 - y);
}
