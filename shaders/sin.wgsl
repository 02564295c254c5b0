// Sine and cosine. Vulkan allows its own an error of 2^-11, and any beyond pi. So x becomes a number of quarter turns and a rest
// of at most pi / 4, for which S. L. Moshier's Cephes library has polynomials (`sinf`, `cosf`, 1984 to 1995). Pi / 2 has three parts;
// the first two have so few digits that their multiples are exact for x up to 10,000; at 100,000 the error is 1e-6. Far
// beyond, the clamp keeps the rest small.
fn sine_of_turned(x: f32, quarters: i32) -> f32 {
    let turns = round(x * 0.63661977);
    let rest = ((x - turns * 1.5703125) - turns * 0.0004837513) - turns * 7.54979e-8;
    let r = clamp(rest, -1.0, 1.0);
    let square = r * r;
    let sine = r + r * square * (-0.16666655 + square * (0.008332161 - square * 0.00019515296));
    let cosine = 1.0 - 0.5 * square
        + square * square * (0.041666646 + square * (-0.0013887316 + square * 2.4433157e-5));
    let place = (i32(turns) + quarters) & 3;
    let value = select(sine, cosine, (place & 1) == 1);
    return select(value, -value, place >= 2);
}

fn sine(x: f32) -> f32 {
    return sine_of_turned(x, 0);
}

fn cosine(x: f32) -> f32 {
    return sine_of_turned(x, 1);
}
