// Hyperbolic tangent. WGSL's own overflows for large arguments on some drivers, so it is computed from e^-2|x|, which
// cannot; near zero, where 1 - e^-2|x| would cancel, from the series. Its derivative needs the result alone: 1 - y^2.
fn hyperbolic_tangent(x: f32) -> f32 {
    let square = x * x;
    let series = x * (1.0 - square * (1.0 / 3.0 - square * (2.0 / 15.0)));
    let e = exp(-2.0 * abs(x));
    let ratio = sign(x) * (1.0 - e) / (1.0 + e);
    return select(ratio, series, abs(x) < 0.1);
}

fn tanh_backward(y: f32, d_y: f32) -> f32 {
    return d_y * (1.0 - y * y);
}
