// Leaky rectified linear unit: x if positive, else slope x. The result has the sign of x, so the derivative needs only the
// result.
fn leaky_relu(x: f32, slope: f32) -> f32 {
    return select(slope * x, x, x > 0.0);
}

fn leaky_relu_backward(y: f32, d_y: f32, slope: f32) -> f32 {
    return select(slope * d_y, d_y, y > 0.0);
}
