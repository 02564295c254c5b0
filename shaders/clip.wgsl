// x between two limits. WGSL's clamp leaves open which limit counts if the least is above the most; here it is the most. The
// derivative is 1 if the result is between the limits, else 0.
fn clipped(x: f32, least: f32, most: f32) -> f32 {
    return min(max(x, least), most);
}

fn clip_backward(y: f32, d_y: f32, least: f32, most: f32) -> f32 {
    return select(0.0, d_y, y > least && y < most);
}
