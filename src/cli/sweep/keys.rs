//! The keys of a recipe that a sweep can vary, and recipes with other values.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, Visitor};
use toml::Value;

use crate::nn::models::ModelConfig;
use crate::ops::augment::{Augment, Erasing, ResizedCrop};
use crate::optim::{Optimizer, Schedule};
use crate::train::recipe::Data;
use crate::train::{Lookahead, Recipe, Training};
use crate::{Error, Result};

/// The learning rate, whose key has a short name.
pub const RATE: &str = "optimizer.learning_rate";
pub const BATCH: &str = "training.batch_size";
pub const HIDDEN: &str = "model.hidden";
pub const SEED: &str = "seed";
pub const FOLD: &str = "data.fold";
/// The length of a run.
pub const EPOCHS: &str = "training.epochs";

/// Other names of keys.
const ALIASES: [(&str, &str); 4] = [("lr", RATE), ("optimizer.lr", RATE), ("batch_size", BATCH), ("hidden", HIDDEN)];

/// Keys that are set while a run is prepared, or that would have no effect.
const NOT_TRIED: [&str; 6] =
    ["data.folder", "data.labels", "data.multi_label", "model.pretrained_file", "model.custom", "model.layer"];

/// A key with a value. Without one, the key is left out of the recipe.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    pub key: String,
    pub value: Option<Value>,
}

/// All keys that can be varied: whole sections, then their fields.
fn known() -> Vec<String> {
    let sections: [(&str, &[&str]); 8] = [
        ("model", fields::<ModelConfig>()),
        ("data", fields::<Data>()),
        ("augment", fields::<Augment>()),
        ("augment.resized_crop", fields::<ResizedCrop>()),
        ("augment.erase", fields::<Erasing>()),
        ("training", fields::<Training>()),
        ("training.lookahead", fields::<Lookahead>()),
        ("optimizer", fields::<Optimizer>()),
    ];
    let schedule = ("schedule", fields::<Schedule>());
    let of = |(section, fields): (&str, &[&str])| {
        let inner = fields.iter().map(|field| format!("{section}.{field}")).collect::<Vec<_>>();
        [vec![section.to_owned()], inner].concat()
    };
    let mut all: Vec<String> = sections.into_iter().chain([schedule]).flat_map(of).collect();
    all.push(SEED.into());
    all.retain(|key| !NOT_TRIED.contains(&key.as_str()));
    all.sort();
    all.dedup();
    all
}

/// The key that a user names.
///
/// # Errors
/// For an unknown key: with the most similar one, and the keys of its section.
pub fn full(name: &str) -> Result<String> {
    let known = known();
    if let Some((_, key)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
        return Ok((*key).into());
    }
    if known.iter().any(|key| key == name) {
        return Ok(name.into());
    }
    if NOT_TRIED.contains(&name) {
        return Err(Error::usage(format!("The recipe key `{name}` cannot be varied by a sweep.")));
    }
    let hint = crate::error::did_you_mean(name, known.iter().map(String::as_str));
    // A field without its section is probably that field.
    let field = || known.iter().find(|key| key.rsplit_once('.').is_some_and(|(_, field)| field == name));
    let hint = match field() {
        Some(key) => format!("; did you mean `{key}`?"),
        None => hint,
    };
    let section = name.split('.').next().unwrap_or_default();
    let mut near: Vec<&str> =
        known.iter().map(String::as_str).filter(|key| key.split('.').next() == Some(section)).collect();
    if near.len() < 2 {
        near = known.iter().map(String::as_str).filter(|key| !key.contains('.')).collect();
    }
    let dots = if near.iter().any(|key| key.contains('.')) {
        ""
    } else {
        ", and the fields of each, as in `optimizer.momentum`"
    };
    Err(Error::usage(format!("There is no recipe key `{name}`{hint} Known are {}{dots}.", near.join(", "))))
}

/// A recipe with other values.
///
/// # Errors
/// [`Error::Usage`] when it is no recipe: with the value that makes it so, or all of them if none does alone.
pub fn changed(base: &Recipe, settings: &[Setting]) -> Result<Recipe> {
    replaced(base, settings).map_err(|reason| {
        let alone = settings.iter().find_map(|one| Some((one, replaced(base, std::slice::from_ref(one)).err()?)));
        let alone = alone.filter(|_| settings.len() > 1);
        let (named, reason) = match alone {
            Some((one, reason)) => (shown(std::slice::from_ref(one)), reason),
            None => (shown(settings), reason),
        };
        match named.is_empty() {
            true => Error::Usage(reason),
            false => Error::usage(format!("{named} cannot be tried. {reason}")),
        }
    })
}

/// Settings as a user writes them.
fn shown(settings: &[Setting]) -> String {
    let one = |setting: &Setting| {
        format!("{}={}", setting.key, setting.value.as_ref().map_or_else(|| "none".into(), Value::to_string))
    };
    settings.iter().map(one).collect::<Vec<_>>().join(" with ")
}

fn replaced(base: &Recipe, settings: &[Setting]) -> Result<Recipe, String> {
    let mut table = toml::Table::try_from(base).map_err(|error| format!("The recipe cannot be written: {error}."))?;
    // A whole section comes before its fields.
    let mut ordered: Vec<&Setting> = settings.iter().collect();
    ordered.sort_by_key(|setting| setting.key.matches('.').count());
    for Setting { key, value } in ordered {
        let (path, field) = key.rsplit_once('.').map_or((None, key.as_str()), |(path, field)| (Some(path), field));
        let mut inner = &mut table;
        for section in path.into_iter().flat_map(|path| path.split('.')) {
            let there = inner.entry(section).or_insert_with(|| Value::Table(toml::Table::new()));
            inner = there.as_table_mut().ok_or_else(|| format!("In this recipe, {section} has no fields."))?;
        }
        match value {
            Some(value) => drop(inner.insert(field.into(), value.clone())),
            None => drop(inner.remove(field)),
        }
    }
    let recipe: Recipe = table.try_into().map_err(|error: toml::de::Error| {
        let reason = error.message().trim_end_matches('.').replace('\n', " ");
        format!("The recipe is wrong: {}.", in_words(&reason))
    })?;
    recipe.validate().map_err(|error| error.to_string())?;
    Ok(recipe)
}

/// A reason of TOML's reader, with words instead of Rust's names of types.
fn in_words(reason: &str) -> String {
    let Some((before, expected)) = reason.rsplit_once("expected ") else { return reason.into() };
    let words = match expected {
        "f32" | "f64" => "a number",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
        "a sequence" => "a list, as in [64]",
        _ if expected.starts_with("struct ") => "a section, as in {name=\"adam\"}",
        other => other,
    };
    format!("{before}expected {words}")
}

/// The names of a struct's fields in TOML.
fn fields<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    let _ = T::deserialize(FieldNames(&mut names));
    names
}

/// A deserializer that has no values, but learns which fields are asked for.
struct FieldNames<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(Self::Error::custom("there are no values"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(key: &str, value: impl Into<Value>) -> Setting {
        Setting { key: key.into(), value: Some(value.into()) }
    }

    #[test]
    fn every_key_that_recipes_have_is_known() {
        let known = known();
        for name in crate::train::recipe::names() {
            let recipe = Recipe::built_in(name).expect("a recipe");
            let table = toml::Table::try_from(&recipe).expect("a table");
            for (section, value) in table {
                for field in value.as_table().into_iter().flat_map(toml::Table::keys) {
                    let key = format!("{section}.{field}");
                    assert!(known.contains(&key) || NOT_TRIED.contains(&key.as_str()), "{key}");
                }
            }
            assert_eq!(changed(&recipe, &[]).expect("the same"), recipe);
        }
        for key in
            ["schedule.warmup", "training.lookahead.every", "augment.resized_crop.scale", "data.fold", "optimizer"]
        {
            assert!(known.iter().any(|known| known == key), "{key}");
        }
    }

    #[test]
    fn values_replace_those_of_the_recipe() {
        let base = Recipe::find("glyphs-mlp").expect("a recipe");
        let settings = [
            setting(RATE, 1),
            setting("augment.flip", true),
            setting(
                "optimizer",
                toml::Table::from_iter([
                    ("name".to_owned(), Value::from("adam")),
                    ("learning_rate".to_owned(), Value::from(0.5)),
                ]),
            ),
            setting("schedule.kind", "cosine"),
            Setting { key: HIDDEN.into(), value: None },
        ];
        let recipe = changed(&base, &settings).expect("a recipe");
        assert_eq!((recipe.optimizer, recipe.model.hidden), (Optimizer::adam(1.0), None));
        assert_eq!(recipe.schedule, "cosine".parse().expect("a schedule"));
        assert!(recipe.augment.is_some_and(|augment| augment.flip == crate::ops::augment::Flip::Random));
    }

    #[test]
    fn wrong_keys_and_values_are_answered_with_the_key() {
        let says = |name: &str| full(name).expect_err("unknown").to_string();
        let sentence = says("optimizer.momentom");
        assert!(sentence.contains("`optimizer.momentom`; did you mean `optimizer.momentum`?"), "{sentence}");
        assert!(sentence.contains("optimizer.weight_decay") && !sentence.contains("training."), "{sentence}");
        let sentence = says("momentum");
        assert!(sentence.contains("did you mean `optimizer.momentum`?"), "{sentence}");
        assert!(says("foo").contains("augment, data, model"), "{}", says("foo"));
        assert!(says("model.layer").contains("cannot be varied"));
        assert_eq!(full("optimizer.lr").expect("short"), RATE);

        let base = Recipe::find("glyphs-mlp").expect("a recipe");
        let says = |settings: &[Setting]| changed(&base, settings).expect_err("refused").to_string();
        let sentence = says(&[setting("training.epochs", 3), setting("optimizer.momentum", "much")]);
        assert!(sentence.starts_with("optimizer.momentum=\"much\" cannot be tried."), "{sentence}");
        assert!(sentence.contains("expected a number."), "{sentence}");
        let sentence = says(&[setting(HIDDEN, 64)]);
        assert!(sentence.contains("expected a list, as in [64]."), "{sentence}");
        let sentence = says(&[setting("optimizer", "adam")]);
        assert!(sentence.contains("expected a section"), "{sentence}");
        let sentence = says(&[setting("optimizer.momentum", 2.0)]);
        assert!(sentence.contains("Momentum is 2, but has to be from 0 to below 1"), "{sentence}");
        // Each is right alone.
        let sentence = says(&[setting("data.val_fraction", 0.2), setting(FOLD, "1/5")]);
        assert!(sentence.starts_with("data.val_fraction=0.2 with data.fold=\"1/5\" cannot be tried."), "{sentence}");
    }
}
