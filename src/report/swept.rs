//! Plots of the results of several runs over the values of a setting in which they differ.

use std::collections::BTreeMap;

use super::curves::{Across, Curve, CurvePlot, Unit};
use super::groups::OF_NOISE;
use super::settings::{Settings, differences};

/// The settings and the result of a run.
#[derive(Clone, Debug)]
pub struct SettingScore {
    /// The settings.
    pub settings: Settings,
    /// The result.
    pub value: f64,
}

/// A plot for each setting whose values are different numbers: the setting's short name, and the results by its value. Runs that
/// differ in other settings are on curves of their own. Runs that differ only in seed or fold are one point, their mean.
pub fn plots(scores: &[SettingScore], what: &str, unit: Unit) -> Vec<(String, CurvePlot)> {
    let all: Vec<Settings> = scores.iter().map(|score| score.settings.clone()).collect();
    let different = differences(&all);
    let numbers = |values: &[String]| values.iter().map(|value| value.parse().ok()).collect::<Option<Vec<f64>>>();
    let swept = different.iter().filter(|(name, _)| !OF_NOISE.contains(&name.as_str()));
    let plot = |(name, values): &(String, Vec<String>)| {
        let values = numbers(values)?;
        let short = name.rsplit('.').next().unwrap_or(name).to_owned();
        // The other settings that differ, as the name of a curve.
        let others = |run: usize| {
            let others = different.iter().filter(|(other, _)| other != name && !OF_NOISE.contains(&other.as_str()));
            others.map(|(other, values)| format!("{other} {}", values[run])).collect::<Vec<_>>().join(", ")
        };
        let mut curves: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        for (run, (&value, score)) in values.iter().zip(scores).enumerate() {
            curves.entry(others(run)).or_default().push((value, score.value));
        }
        let several = curves.len() > 1;
        let curves = curves
            .into_iter()
            .map(|(name, points)| Curve { name: if several { name } else { what.to_owned() }, points: means(points) });
        let across = Across::Setting(short.replace('_', " "));
        Some((short, CurvePlot { what: what.into(), unit, across, curves: curves.collect() }))
    };
    swept.filter_map(plot).collect()
}

/// Points sorted by their first value; points with the same first value become their mean.
fn means(mut points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mean = |same: &[(f64, f64)]| (same[0].0, same.iter().map(|point| point.1).sum::<f64>() / same.len() as f64);
    points.chunk_by(|a, b| a.0 == b.0).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(runs: &[(&str, &str, &str, f64)]) -> Vec<SettingScore> {
        let score = |&(rate, optimizer, seed, value): &(&str, &str, &str, f64)| {
            let pairs = [("optimizer.learning_rate", rate), ("optimizer.name", optimizer), ("seed", seed)];
            let settings = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
            SettingScore { settings, value }
        };
        runs.iter().map(score).collect()
    }

    #[test]
    fn seeds_are_averaged_and_other_settings_have_their_own_curves() {
        let runs =
            [("0.1", "sgd", "1", 0.5), ("0.01", "sgd", "1", 0.6), ("0.1", "sgd", "2", 0.7), ("0.01", "adam", "1", 0.9)];
        let plots = plots(&scores(&runs), "accuracy", Unit::Percent);
        let [(name, plot)] = plots.as_slice() else { panic!("{plots:?}") };
        assert_eq!((name.as_str(), &plot.across), ("learning_rate", &Across::Setting("learning rate".into())));
        let curve = |name: &str, points: &[(f64, f64)]| Curve { name: name.into(), points: points.to_vec() };
        assert_eq!(
            plot.curves,
            [curve("optimizer.name adam", &[(0.01, 0.9)]), curve("optimizer.name sgd", &[(0.01, 0.6), (0.1, 0.6)])]
        );
    }

    #[test]
    fn runs_that_differ_in_nothing_or_in_the_seed_have_no_plot() {
        assert!(
            plots(&scores(&[("0.1", "sgd", "1", 0.5), ("0.1", "sgd", "2", 0.6)]), "accuracy", Unit::Percent).is_empty()
        );
    }
}
