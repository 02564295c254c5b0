//! Runs that differ only in their seed or fold, as groups with a mean and its standard error.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::curves::Unit;
use super::noise::{self, Difference, Sample};
use super::page::table;
use super::settings::{Settings, differences};

/// Settings that make no group: their influence is what noise means here.
pub(super) const OF_NOISE: [&str; 2] = ["seed", "data.fold"];

/// Runs with the same settings but for the seed and the fold.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Group {
    /// The numbers of the runs in the list that was grouped.
    #[serde(skip)]
    pub members: Vec<usize>,
    /// The results of its runs.
    #[serde(flatten)]
    pub sample: Sample,
    /// How it differs from the best group. `None` for the best group, and where it cannot be judged.
    pub difference: Option<Difference>,
}

/// The groups of runs with these settings and results, of which larger ones are better. The group with the best mean comes first.
pub fn groups(scores: &[(Settings, f64)]) -> Vec<Group> {
    let mut members: BTreeMap<Settings, Vec<usize>> = BTreeMap::new();
    for (number, (settings, _)) in scores.iter().enumerate() {
        let mut settings = settings.clone();
        settings.retain(|name, _| !OF_NOISE.contains(&name.as_str()));
        members.entry(settings).or_default().push(number);
    }
    let group = |members: Vec<usize>| {
        let values: Vec<f64> = members.iter().map(|&number| scores[number].1).collect();
        Sample::of(&values).map(|sample| Group { members, sample, difference: None })
    };
    let mut groups: Vec<Group> = members.into_values().filter_map(group).collect();
    groups.sort_by(|a, b| b.sample.mean.total_cmp(&a.sample.mean).then(a.members.cmp(&b.members)));
    let samples: Vec<Sample> = groups.iter().map(|group| group.sample).collect();
    if let Some((best, others)) = samples.split_first() {
        let found = noise::differences(best, others);
        groups.iter_mut().skip(1).zip(found).for_each(|(group, found)| group.difference = found);
    }
    groups
}

/// What the groups say about noise, in a sentence. `None` if there is only one group.
pub fn verdict(groups: &[Group]) -> Option<String> {
    let (_, others) = groups.split_first().filter(|(_, others)| !others.is_empty())?;
    if groups.iter().all(|group| group.sample.runs == 1) {
        return Some(
            "There is one run of each setting, so it cannot be judged which differences are more than noise; several seeds (--seed 1,2,3) show it."
                .into(),
        );
    }
    let judged: Vec<&Difference> = others.iter().filter_map(|group| group.difference.as_ref()).collect();
    let clear = judged.iter().filter(|difference| difference.more_than_noise).count();
    let rest = match others.len() - judged.len() {
        0 => String::new(),
        unknown => format!(" {unknown} cannot be judged: they have one run, or no spread."),
    };
    let of = "by more than noise (Welch's t-test, Holm's correction, p < 0.05)";
    Some(match (clear, others.len()) {
        (0, _) => format!("The best setting is better than no other {of}.{rest}"),
        (1, 1) => format!("The best setting is better than the other one {of}."),
        (clear, all) => format!("The best setting is better than {clear} of the {all} others {of}.{rest}"),
    })
}

impl Group {
    /// What is said of its difference from the best group.
    pub fn words(&self, is_best: bool) -> &'static str {
        match (is_best, &self.difference) {
            (true, _) => "best",
            (_, None) => "not judged",
            (_, Some(difference)) if difference.more_than_noise => "more than noise",
            _ => "within noise",
        }
    }
}

/// The table of the groups, and what they say about noise. No table if each run has settings of its own.
pub(super) fn section(scores: &[(Settings, f64)], unit: Unit) -> Markup {
    let groups = groups(scores);
    let said = html! { @if let Some(said) = verdict(&groups) { p { (said) } } };
    if groups.iter().all(|group| group.sample.runs == 1) {
        return said;
    }
    let all: Vec<Settings> = groups.iter().map(|group| scores[group.members[0]].0.clone()).collect();
    let varied: Vec<_> = differences(&all).into_iter().filter(|(name, _)| !OF_NOISE.contains(&name.as_str())).collect();
    let figures = ["runs", "mean", "standard error", "smallest", "largest", "behind", "Welch's t", "p"];
    let head: Vec<&str> = varied.iter().map(|(name, _)| name.as_str()).chain(["difference"]).chain(figures).collect();
    let row = |(number, group): (usize, &Group)| {
        let (sample, empty) = (group.sample, String::new);
        let of = |show: &dyn Fn(&Difference) -> String| group.difference.as_ref().map_or_else(empty, show);
        let settings = varied.iter().map(|(_, values)| values[number].clone());
        let figures = [
            group.words(number == 0).to_owned(),
            sample.runs.to_string(),
            unit.show(sample.mean),
            sample.standard_error.map_or_else(empty, |error| unit.show(error)),
            unit.show(sample.low),
            unit.show(sample.high),
            of(&|difference| unit.show(difference.behind)),
            of(&|difference| format!("{:.2}", difference.t)),
            of(&|difference| format!("{:.4}", difference.p)),
        ];
        settings.chain(figures).collect()
    };
    let rows: Vec<Vec<String>> = groups.iter().enumerate().map(row).collect();
    html! {
        h3 { "Settings with several runs" }
        (table(&head, varied.len() + 1, &rows))
        (said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rate: &str, seed: &str, fold: &str, value: f64) -> (Settings, f64) {
        let pairs = [("optimizer.learning_rate", rate), ("seed", seed), ("data.fold", fold)];
        (pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect(), value)
    }

    #[test]
    fn seeds_and_folds_make_a_group_and_other_settings_do_not() {
        let runs = [
            run("0.1", "1", "1/2", 0.50),
            run("0.01", "1", "1/2", 0.90),
            run("0.1", "2", "1/2", 0.52),
            run("0.01", "1", "2/2", 0.92),
            run("0.01", "2", "1/2", 0.91),
        ];
        let groups = groups(&runs);
        assert_eq!(groups.iter().map(|group| group.members.clone()).collect::<Vec<_>>(), [vec![1, 3, 4], vec![0, 2]]);
        assert!(groups[0].difference.is_none() && groups[1].difference.is_some_and(|found| found.more_than_noise));
        assert_eq!([groups[0].words(true), groups[1].words(false)], ["best", "more than noise"]);
        let said = verdict(&groups).expect("two groups");
        assert!(said.contains("better than the other one by more than noise"), "{said}");
        let page = section(&runs, Unit::Percent).into_string();
        assert!(page.contains("more than noise") && page.contains("91.00"), "{page}");
    }

    #[test]
    fn single_runs_cannot_be_judged() {
        let runs = [run("0.1", "1", "", 0.5), run("0.01", "1", "", 0.9)];
        let said = verdict(&groups(&runs)).expect("two groups");
        assert!(said.contains("cannot be judged") && said.contains("--seed 1,2,3"), "{said}");
        assert_eq!(section(&runs, Unit::Percent).into_string(), format!("<p>{said}</p>"));
        assert_eq!(verdict(&groups(&runs[..1])), None);
    }
}
