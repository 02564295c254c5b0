// e^x; its own derivative. WGSL's built-in is renamed so that the host can call every op by a function of its own.
fn exponential(x: f32) -> f32 {
    return exp(x);
}
