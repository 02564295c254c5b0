// A number times a constant factor.
fn scale(x: f32, factor: f32) -> f32 {
    return factor * x;
}
