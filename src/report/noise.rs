//! Mean and standard error of results, and whether the means of groups differ by more than noise.

/// Differences whose corrected p-value is below this are more than noise.
const LEVEL: f64 = 0.05;

/// Several results of the same settings.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Sample {
    /// The number of results.
    pub runs: usize,
    /// Their mean.
    pub mean: f64,
    /// The smallest one.
    pub low: f64,
    /// The largest one.
    pub high: f64,
    /// The standard error of the mean: the standard deviation with n - 1, divided by the root of n. `None` for a single result.
    pub standard_error: Option<f64>,
}

/// How a group's mean differs from the best group's.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Difference {
    /// The best group's mean minus this one's.
    pub behind: f64,
    /// Welch's t.
    pub t: f64,
    /// The degrees of freedom of Welch and Satterthwaite.
    pub degrees: f64,
    /// The two-sided p-value, corrected for the number of groups by Holm's method.
    pub p: f64,
    /// Whether the p-value is below 0.05.
    pub more_than_noise: bool,
}

impl Sample {
    /// The figures of at least one result.
    pub fn of(values: &[f64]) -> Option<Self> {
        let first = *values.first()?;
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let (low, high) = values.iter().fold((first, first), |(low, high), &value| (low.min(value), high.max(value)));
        let standard_error = (values.len() > 1).then(|| (squares / (count - 1.0) / count).sqrt());
        Some(Self { runs: values.len(), mean, low, high, standard_error })
    }

    /// Welch's t, degrees of freedom and two-sided p-value (B. L. Welch, "The generalization of Student's problem when several
    /// different population variances are involved", 1947). `None` if a sample has one result, or neither has any spread.
    fn welch(&self, other: &Self) -> Option<(f64, f64, f64)> {
        let [a, b] = [self.standard_error?.powi(2), other.standard_error?.powi(2)];
        let [n, m] = [self.runs, other.runs].map(|runs| runs as f64 - 1.0);
        let degrees = (a + b).powi(2) / (a * a / n + b * b / m);
        let t = (self.mean - other.mean) / (a + b).sqrt();
        t.is_finite().then(|| (t, degrees, two_sided(t, degrees)))
    }
}

/// The probability that Student's t with so many degrees of freedom is at least as far from 0 as `t` (DLMF, 8.17).
fn two_sided(t: f64, degrees: f64) -> f64 {
    let x = degrees / (degrees + t * t);
    let (a, b) = (degrees / 2.0, 0.5);
    // The continued fraction converges fast on one side of this point.
    match x < (a + 1.0) / (a + b + 2.0) {
        true => lower_beta(x, a, b),
        false => 1.0 - lower_beta(1.0 - x, b, a),
    }
}

/// The regularised incomplete beta function, by the continued fraction 8.17.22 of the Digital Library of Mathematical Functions, with
/// the method of Lentz. Crates that have this function bring up to ten other packages.
fn lower_beta(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let factor = (libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * x.ln() + b * (-x).ln_1p()).exp() / a;
    let (mut value, mut above, mut below) = (1.0, 1.0, 0.0);
    for number in 0..300 {
        let m = f64::from(number / 2);
        let term = match number {
            0 => 1.0,
            _ if number % 2 == 0 => m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            _ => -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        };
        let kept = |value: f64| if value.abs() < TINY { TINY } else { value };
        below = 1.0 / kept(1.0 + term * below);
        above = kept(1.0 + term / above);
        value *= above * below;
        if (1.0 - above * below).abs() < 1e-15 {
            break;
        }
    }
    factor * (value - 1.0)
}

/// How each of the other samples differs from the best one. `None` where it cannot be judged.
pub fn differences(best: &Sample, others: &[Sample]) -> Vec<Option<Difference>> {
    let tests: Vec<_> = others.iter().map(|other| best.welch(other)).collect();
    let mut order: Vec<usize> = (0..tests.len()).filter(|&number| tests[number].is_some()).collect();
    let p_of = |number: usize| tests[number].map_or(1.0, |(_, _, p)| p);
    order.sort_by(|&a, &b| p_of(a).total_cmp(&p_of(b)));
    let mut corrected = vec![1.0; tests.len()];
    let mut largest: f64 = 0.0;
    for (rank, &number) in order.iter().enumerate() {
        largest = largest.max(p_of(number) * (order.len() - rank) as f64).min(1.0);
        corrected[number] = largest;
    }
    let difference = |(number, test): (usize, &Option<(f64, f64, f64)>)| {
        let (t, degrees, _) = (*test)?;
        let (behind, p) = (best.mean - others[number].mean, corrected[number]);
        Some(Difference { behind, t, degrees, p, more_than_noise: p < LEVEL })
    };
    tests.iter().enumerate().map(difference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, wanted: f64) -> bool {
        (value - wanted).abs() < 1e-6 * wanted.abs().max(1.0)
    }

    #[test]
    fn a_sample_has_its_figures() {
        let sample = Sample::of(&[0.5, 0.7, 0.6]).expect("some");
        assert!(near(sample.mean, 0.6) && (sample.low, sample.high, sample.runs) == (0.5, 0.7, 3));
        assert!(near(sample.standard_error.expect("three"), 0.1 / 3.0_f64.sqrt()));
        assert_eq!(Sample::of(&[0.5]).expect("one").standard_error, None);
        assert_eq!(Sample::of(&[]), None);
    }

    /// The numbers are SciPy's: `scipy.stats.ttest_ind(a, b, equal_var=False)`.
    #[test]
    fn welch_agrees_with_scipy() {
        let a = Sample::of(&[0.91, 0.93, 0.92, 0.95]).expect("some");
        let b = Sample::of(&[0.90, 0.84, 0.88]).expect("some");
        let (t, degrees, p) = a.welch(&b).expect("judged");
        assert!(
            near(t, 2.764_081_161_156_65)
                && near(degrees, 2.939_707_960_433_433_4)
                && near(p, 0.071_528_563_181_105_66),
            "{t} {degrees} {p}"
        );
    }

    /// The numbers are SciPy's: `2 * scipy.stats.t.sf(t, degrees)`.
    #[test]
    fn student_agrees_with_scipy() {
        for (t, degrees, p) in [
            (0.1, 1.0, 0.936548965138893),
            (12.7, 1.0, 0.050024327689344165),
            (1.0, 2.5, 0.40406102727827364),
            (4.3, 2.0, 0.05005715411709159),
            (2.0, 30.0, 0.054625044962983094),
            (0.01, 100.0, 0.9920412102344285),
            (9.0, 7.3, 3.299362181578532e-05),
            (40.0, 3.0, 3.4380680789158506e-05),
        ] {
            let own = two_sided(t, degrees);
            assert!((own - p).abs() < 1e-9 * p.max(1e-3), "{t} {degrees}: {own}");
        }
        assert_eq!(two_sided(0.0, 3.0), 1.0);
    }

    #[test]
    fn what_has_no_spread_is_not_judged() {
        let [one, two, same] = [&[0.9][..], &[0.8, 0.7], &[0.6, 0.6]].map(|values| Sample::of(values).expect("some"));
        assert_eq!(differences(&one, &[two]), [None]);
        assert_eq!(differences(&same, &[same]), [None]);
        assert!(differences(&two, &[same])[0].is_some());
    }

    /// Holm's method: the smallest p-value counts for all tests, the next one for one less, and none is below an earlier one.
    #[test]
    fn p_values_are_corrected_for_their_number() {
        let best = Sample::of(&[0.90, 0.91, 0.92]).expect("some");
        let near_it = Sample::of(&[0.89, 0.91, 0.90]).expect("some");
        let far = Sample::of(&[0.50, 0.51, 0.52]).expect("some");
        let alone = |sample: &Sample| best.welch(sample).expect("judged").2;
        let both = differences(&best, &[near_it, far]);
        let [first, second] = [both[0].expect("judged"), both[1].expect("judged")];
        assert!(near(second.p, 2.0 * alone(&far)) && second.more_than_noise, "{second:?}");
        assert!(near(first.p, alone(&near_it)) && !first.more_than_noise, "{first:?}");
        assert!(near(second.behind, 0.4));
    }
}
