// The smaller of two numbers. The gradient is that of `maximum`, with the numbers exchanged.
fn minimum(a: f32, b: f32) -> f32 {
    return min(a, b);
}
