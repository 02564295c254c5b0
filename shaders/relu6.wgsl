// Rectified linear unit with a maximum of 6, min(max(x, 0), 6). Its derivative is 1 if the result is between 0 and 6, else 0.
fn relu6(x: f32) -> f32 {
    return clamp(x, 0.0, 6.0);
}

fn relu6_backward(y: f32, d_y: f32) -> f32 {
    return select(0.0, d_y, y > 0.0 && y < 6.0);
}
