// A channel's factor in batch norm, gamma / standard deviation, and its gradient by the variance.
fn norm_factor(gamma: f32, variance: f32, epsilon: f32) -> f32 {
    return gamma / sqrt(variance + epsilon);
}

fn norm_factor_backward(y: f32, variance: f32, d_y: f32, epsilon: f32) -> f32 {
    return -0.5 * y * d_y / (variance + epsilon);
}
