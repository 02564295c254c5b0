// Rectified linear unit, max(x, 0). Its derivative is 1 if the result is positive, else 0.
fn relu(x: f32) -> f32 {
    return max(x, 0.0);
}

fn relu_backward(y: f32, d_y: f32) -> f32 {
    return select(0.0, d_y, y > 0.0);
}
