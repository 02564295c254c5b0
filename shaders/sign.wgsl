// 1 for a positive number, -1 for a negative one, 0 for 0.
fn sign_of(x: f32) -> f32 {
    return sign(x);
}
