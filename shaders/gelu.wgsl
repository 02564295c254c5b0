// Gaussian error linear unit, in its tanh form (Hendrycks and Gimpel 2016):
// x / 2 (1 + tanh(u)), u = sqrt(2 / pi) (x + 0.044715 x^3). As (1 + tanh(u)) / 2 is the sigmoid of 2u, it is x sigmoid(2u).
fn gelu_gate(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(-1.5957691216 * (x + 0.044715 * x * x * x)));
}

fn gelu(x: f32) -> f32 {
    return x * gelu_gate(x);
}

fn gelu_backward(x: f32, d_y: f32) -> f32 {
    let gate = gelu_gate(x);
    let slope = 1.5957691216 * (1.0 + 0.134145 * x * x);
    return d_y * (gate + x * gate * (1.0 - gate) * slope);
}
