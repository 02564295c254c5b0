// The smallest whole number that is not below x.
fn whole_above(x: f32) -> f32 {
    return ceil(x);
}
