// Quotient of two numbers.
fn divide(a: f32, b: f32) -> f32 {
    return a / b;
}
