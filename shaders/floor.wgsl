// The largest whole number that is not above x.
fn whole_below(x: f32) -> f32 {
    return floor(x);
}
