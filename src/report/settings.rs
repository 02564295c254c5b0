//! A recipe as a flat list of settings, for showing and comparing.

use std::collections::BTreeMap;

use crate::train::Recipe;
use crate::{Error, Result};

/// Settings by dotted name, such as `training.batch_size`; layers are numbered from 1.
pub type Settings = BTreeMap<String, String>;

/// All settings of a recipe, including defaults.
///
/// # Errors
/// When the recipe has no TOML form.
pub fn flat(recipe: &Recipe) -> Result<Settings> {
    let table = toml::Value::try_from(recipe);
    let table = table.map_err(|error| Error::usage(format!("The recipe cannot be written: {error}.")))?;
    let mut settings = BTreeMap::new();
    add("", &table, &mut settings);
    Ok(settings)
}

fn add(name: &str, value: &toml::Value, settings: &mut Settings) {
    let inner = |key: &dyn std::fmt::Display| if name.is_empty() { key.to_string() } else { format!("{name}.{key}") };
    match value {
        toml::Value::Table(table) => table.iter().for_each(|(key, value)| add(&inner(key), value, settings)),
        toml::Value::Array(values) if values.iter().any(toml::Value::is_table) => {
            (1..).zip(values).for_each(|(number, value): (usize, _)| add(&inner(&number), value, settings));
        }
        toml::Value::String(text) => {
            settings.insert(name.into(), text.clone());
        }
        // Recipes hold some f32 values; print those as f32, in the shortest form.
        toml::Value::Float(value) if f64::from(*value as f32) == *value => {
            settings.insert(name.into(), (*value as f32).to_string());
        }
        toml::Value::Float(value) => {
            settings.insert(name.into(), value.to_string());
        }
        other => {
            settings.insert(name.into(), other.to_string());
        }
    }
}

/// The settings that differ between recipes: name, and each recipe's value (empty if it has none).
pub fn differences(all: &[Settings]) -> Vec<(String, Vec<String>)> {
    let names: std::collections::BTreeSet<&String> = all.iter().flat_map(BTreeMap::keys).collect();
    let row = |name: &String| {
        let values: Vec<String> = all.iter().map(|settings| settings.get(name).cloned().unwrap_or_default()).collect();
        (name.clone(), values)
    };
    let rows = names.into_iter().map(row);
    rows.filter(|(_, values)| values.iter().any(|value| value != &values[0])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_named_and_compared() {
        let first = Recipe::find("nist36-mlp").expect("a recipe");
        let mut second = first.clone();
        (second.optimizer.learning_rate, second.training.label_smoothing) = (0.1, 0.1);
        let all = [flat(&first).expect("settings"), flat(&second).expect("settings")];
        assert_eq!(all[0]["model.hidden"], "[64]");
        let rows = differences(&all);
        let row = |name: &str, values: [&str; 2]| (name.to_owned(), values.map(str::to_owned).to_vec());
        assert_eq!(
            rows,
            [row("optimizer.learning_rate", ["0.01", "0.1"]), row("training.label_smoothing", ["0", "0.1"])]
        );
        assert!(differences(&all[..1]).is_empty());
    }
}
