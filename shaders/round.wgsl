// The nearest whole number. WGSL rounds halves to the even one.
fn nearest_whole(x: f32) -> f32 {
    return round(x);
}
