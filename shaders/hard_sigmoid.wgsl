// Hard sigmoid: min(max(x + 3, 0), 6) / 6. The derivative is 1/6 between -3 and 3, else 0.
fn hard_sigmoid(x: f32) -> f32 {
    return clamp(x + 3.0, 0.0, 6.0) / 6.0;
}

fn hard_sigmoid_backward(x: f32, d_y: f32) -> f32 {
    return select(0.0, d_y * 0.16666667, x > -3.0 && x < 3.0);
}
