// Gaussian error linear unit in its exact form: x P(x), where P(x) is the part of a standard normal distribution below x, by the
// polynomial of src/ops/single.rs. Below -15 it is 0 in single precision.
fn normal_part(x: f32) -> f32 {
    let r = min(abs(x), 15.0);
    let t = 1.0 / (1.0 + 0.35 * r);
    let p = 0.13962126 + t * (0.13986434 + t * (0.11981549 + t * (0.105574824 + t * (-0.023263887
        + t * (0.15939298 + t * (-0.25590193 + t * (0.14406084 - t * 0.029163932)))))));
    let beyond = exp(-0.5 * r * r) * t * p;
    return select(beyond, 1.0 - beyond, x > 0.0);
}

fn gelu_erf(x: f32) -> f32 {
    return x * normal_part(x);
}

// P(x) + x e^(-x^2 / 2) / sqrt(2 pi).
fn gelu_erf_backward(x: f32, d_y: f32) -> f32 {
    let near = clamp(x, -15.0, 15.0);
    return d_y * (normal_part(x) + near * 0.3989423 * exp(-0.5 * near * near));
}
