//! The exponential, the hyperbolic tangent, the error function and the normal distribution in single precision. They use only additions, multiplications and
//! integer operations. So the compiler can vectorise loops over them, and every machine gives the same bits. The
//! platform's library would compute one number per call. The polynomials come from S. L. Moshier's Cephes library
//! (`expf`, `tanhf`, 1984 to 1995); those of the error function and the
//! normal distribution are fitted so that the largest relative error is smallest.

/// e^x, with an error of at most two units in the last place. If the result is subnormal, the unit is the smallest
/// number.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Adding and subtracting 1.5 * 2^23 rounds to an integer, which is then in the low bits.
    const WHOLE: f32 = 12_582_912.0;
    // ln 2 in two parts. The first has so few digits that its multiples are exact.
    const LN_2: [f32; 2] = [355.0 / 512.0, -2.121_944_4e-4];
    // Beyond these limits the result is 0 or infinite.
    let x = x.clamp(-104.0, 89.0);
    let shifted = x * std::f32::consts::LOG2_E + WHOLE;
    let (power, exponent) = (shifted - WHOLE, shifted.to_bits().wrapping_sub(WHOLE.to_bits()).cast_signed());
    let r = (x - power * LN_2[0]) - power * LN_2[1];
    let p = series(r) + 1.0;
    // Two factors, because the result may be subnormal, or 2^128 times a number below 1.
    let half = exponent >> 1;
    p * power_of_two(half) * power_of_two(exponent.wrapping_sub(half))
}

/// e^r - 1, for numbers between -ln(2) / 2 and ln(2) / 2.
#[inline(always)]
fn series(r: f32) -> f32 {
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    p * (r * r) + r
}

/// e^x - 1, with an error of at most five units in the last place.
#[inline(always)]
pub fn exp_less_one(x: f32) -> f32 {
    if x.abs() < 0.34 { series(x) } else { exp(x) - 1.0 }
}

/// 2^exponent, for exponents of normal numbers.
#[inline(always)]
fn power_of_two(exponent: i32) -> f32 {
    f32::from_bits(exponent.wrapping_add(127).cast_unsigned() << 23)
}

/// tanh(x), with an error of at most three units in the last place.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let square = x * x;
    let p = -5.704_988_6e-3;
    let p = p * square + 2.063_909e-2;
    let p = p * square - 5.373_971_5e-2;
    let p = p * square + 1.333_144_2e-1;
    let p = p * square - 3.333_328e-1;
    let near = p * square * x + x;
    let far = (1.0 - 2.0 / (exp(2.0 * x.abs()) + 1.0)).copysign(x);
    if x.abs() < 0.625 { near.copysign(x) } else { far }
}

/// The error function, with an error of at most two units in the last place. Near zero, erf(x) / x is a polynomial of x^2; elsewhere
/// ln(1 - erf(x)) is one of x. Beyond 4 the result is 1.
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let square = x * x;
    let p = -5.862_107e-4;
    let p = p * square + 4.967_513e-3;
    let p = p * square - 2.674_887e-2;
    let p = p * square + 1.128_132_1e-1;
    let p = p * square - 3.761_244_7e-1;
    let p = p * square + 1.283_791_4e-1;
    let near = p * x + x;
    // `f32::min` would make a number of what is none.
    let t = if x.abs() > 4.0 { 4.0 } else { x.abs() };
    let p = 2.128_966_6e-4;
    let p = p * t - 3.205_924_5e-3;
    let p = p * t + 2.286_078_4e-2;
    let p = p * t - 1.052_159_44e-1;
    let p = p * t - 6.357_535e-1;
    let p = p * t - 1.128_503_8;
    let far = (1.0 - exp(p * t)).copysign(x);
    if t < 0.95 { near } else { far }
}

/// The part of a standard normal distribution below x, with an error of at most ten units in the last place. If the result is subnormal,
/// the unit is the smallest number. Beyond r on either side there is e^(-r^2 / 2) times t times a polynomial of t = 1 / (1 + 0.35 r).
#[inline(always)]
pub fn normal_part(x: f32) -> f32 {
    // Beyond 15 the part is 0. `f32::min` would make a number of what is none.
    let r = if x.abs() > 15.0 { 15.0 } else { x.abs() };
    let t = 1.0 / (1.0 + 0.35 * r);
    let p = -2.916_393_2e-2;
    let p = p * t + 1.440_608_4e-1;
    let p = p * t - 2.559_019_3e-1;
    let p = p * t + 1.593_929_8e-1;
    let p = p * t - 2.326_388_7e-2;
    let p = p * t + 1.055_748_24e-1;
    let p = p * t + 1.198_154_9e-1;
    let p = p * t + 1.398_643_4e-1;
    let p = p * t + 1.396_212_6e-1;
    // What rounding takes from the square would be a relative error of the exponential: the square of the upper half of r is exact.
    let square = r * r;
    let upper = f32::from_bits(r.to_bits() & 0xFFFF_F000);
    let lower = r - upper;
    let lost = ((upper * upper - square) + 2.0 * upper * lower) + lower * lower;
    let density = exp(-0.5 * square);
    let beyond = (density - density * (0.5 * lost)) * (t * p);
    if x > 0.0 { 1.0 - beyond } else { beyond }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every 997th float, of both signs, from 0 to infinity.
    fn floats() -> impl Iterator<Item = f32> {
        (0..=f32::INFINITY.to_bits()).step_by(997).flat_map(|bits| [f32::from_bits(bits), -f32::from_bits(bits)])
    }

    /// The distance between two floats: the number of floats between them.
    fn units(a: f32, b: f32) -> u32 {
        let place = |x: f32| if x.is_sign_negative() { -i64::from(x.abs().to_bits()) } else { i64::from(x.to_bits()) };
        place(a).abs_diff(place(b)) as u32
    }

    fn worst(of: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) -> (u32, f32) {
        floats().map(|x| (units(of(x), exact(f64::from(x)) as f32), x)).max_by_key(|&(units, _)| units).expect("floats")
    }

    #[test]
    fn the_exponential_is_that_of_double_precision() {
        let (units, x) = worst(exp, f64::exp);
        assert!(units <= 2, "e^{x} is {units} units off");
        assert_eq!([exp(0.0), exp(-0.0), exp(f32::NEG_INFINITY), exp(f32::INFINITY)], [1.0, 1.0, 0.0, f32::INFINITY]);
        assert_eq!([exp(-104.0), exp(88.8), exp(-103.0)], [0.0, f32::INFINITY, f32::from_bits(1)]);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn the_exponential_less_one_is_that_of_double_precision() {
        let (units, x) = worst(exp_less_one, f64::exp_m1);
        assert!(units <= 5, "e^{x} - 1 is {units} units off");
        assert_eq!([exp_less_one(f32::NEG_INFINITY), exp_less_one(f32::INFINITY)], [-1.0, f32::INFINITY]);
        assert!(exp_less_one(f32::NAN).is_nan());
    }

    #[test]
    fn the_error_function_is_that_of_double_precision() {
        let (units, x) = worst(erf, libm::erf);
        assert!(units <= 2, "erf {x} is {units} units off");
        assert_eq!([erf(f32::INFINITY), erf(f32::NEG_INFINITY), erf(4.0)], [1.0, -1.0, 1.0]);
        assert!(erf(-0.0).is_sign_negative() && erf(f32::NAN).is_nan());
    }

    #[test]
    fn the_part_of_a_normal_distribution_is_that_of_double_precision() {
        let (units, x) = worst(normal_part, |x| 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2));
        assert!(units <= 10, "below {x}: {units} units off");
        assert_eq!([normal_part(f32::INFINITY), normal_part(f32::NEG_INFINITY), normal_part(9.0)], [1.0, 0.0, 1.0]);
        assert!(normal_part(f32::NAN).is_nan());
    }

    #[test]
    fn the_hyperbolic_tangent_is_that_of_double_precision() {
        let (units, x) = worst(tanh, f64::tanh);
        assert!(units <= 3, "tanh {x} is {units} units off");
        assert_eq!([tanh(f32::INFINITY), tanh(f32::NEG_INFINITY), tanh(20.0)], [1.0, -1.0, 1.0]);
        assert!(tanh(-0.0).is_sign_negative() && tanh(f32::NAN).is_nan());
    }
}
