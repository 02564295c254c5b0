// Sine and cosine of an angle from -pi to pi: the series for a quarter of the angle, then the angle is doubled twice. The
// built-in functions may have an error of 2^-11.
fn sine_cosine(angle: f32) -> vec2f {
    let q = 0.25 * angle;
    let s = q * q;
    let sine = q * (1.0 - s / 6.0 * (1.0 - s / 20.0 * (1.0 - s / 42.0 * (1.0 - s / 72.0))));
    let cosine = 1.0 - 0.5 * s * (1.0 - s / 12.0 * (1.0 - s / 30.0 * (1.0 - s / 56.0)));
    let twice = vec2f(2.0 * sine * cosine, 1.0 - 2.0 * sine * sine);
    return vec2f(2.0 * twice.x * twice.y, 1.0 - 2.0 * twice.x * twice.x);
}
