// a^b. WGSL's pow is undefined for negative a and for some powers of 0. So this raises |a|, and the result has the sign of a if b is
// odd. A negative number to a power that is not whole is not a number, as its logarithm. x^0 is 1, of any x.
fn power(a: f32, b: f32) -> f32 {
    let size = abs(a);
    let of_zero = select(0.0, 1.0 / size, b < 0.0);
    let raised = select(pow(size, b), of_zero, size == 0.0);
    let is_whole = floor(b) == b;
    let is_odd = is_whole && floor(0.5 * b) != 0.5 * b;
    let of_negative = select(log(a), select(raised, -raised, is_odd), is_whole);
    return select(select(raised, of_negative, a < 0.0), 1.0, b == 0.0);
}

fn power_by_base(a: f32, b: f32, d_y: f32) -> f32 {
    return select(d_y * b * power(a, b - 1.0), 0.0, b == 0.0);
}

fn power_by_exponent(a: f32, b: f32, d_y: f32) -> f32 {
    return select(d_y * power(a, b) * log(a), 0.0, a == 0.0 && b >= 0.0);
}
