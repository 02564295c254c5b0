// Error function, by the polynomials of src/ops/single.rs: of erf(x) / x near zero, else of ln(1 - erf |x|). Beyond 4 it is 1.
fn error_function(x: f32) -> f32 {
    let square = x * x;
    let series = 0.12837914 + square * (-0.37612447 + square * (0.11281321 + square * (-0.02674887
        + square * (0.004967513 - square * 0.0005862107))));
    let t = min(abs(x), 4.0);
    let power = t * (-1.1285038 + t * (-0.6357535 + t * (-0.105215944 + t * (0.022860784
        + t * (-0.0032059245 + t * 0.00021289666)))));
    return select(sign(x) * (1.0 - exp(power)), x + x * series, t < 0.95);
}

// 2 / sqrt(pi) e^(-x^2). Beyond 10 it is 0 in single precision, so the square need not overflow.
fn erf_backward(x: f32, d_y: f32) -> f32 {
    let near = min(abs(x), 10.0);
    return d_y * 1.1283792 * exp(-near * near);
}
