// Difference of two numbers.
fn subtract(a: f32, b: f32) -> f32 {
    return a - b;
}
