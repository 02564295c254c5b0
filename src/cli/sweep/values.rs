//! What a user writes after a key: values to try, or a range to draw from.

use std::str::FromStr;

use toml::Value;

use super::keys::{self, Setting};

/// Values to try for a key.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// The recipe's key.
    pub key: String,
    pub values: Values,
}

/// Values to try.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Each of these; none stands for the recipe without the key.
    Each(Vec<Option<Value>>),
    /// Numbers drawn from a range, both ends included.
    Range { draw: Draw, low: f64, high: f64 },
}

/// How numbers of a range are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    Uniform,
    /// The logarithm is uniform.
    Log,
    /// Whole numbers.
    Int,
}

const DRAWS: [(&str, Draw); 3] = [("uniform", Draw::Uniform), ("log", Draw::Log), ("int", Draw::Int)];

/// The word for a recipe without a key.
const NONE: &str = "none";

impl FromStr for Tried {
    type Err = String;

    /// Reads `KEY=VALUES`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, values) = text
            .split_once('=')
            .ok_or("a key of the recipe and its values are needed, as in optimizer.momentum=0.8,0.9")?;
        let key = keys::full(name.trim()).map_err(|error| error.to_string())?;
        Ok(Self { key, values: values.parse()? })
    }
}

impl FromStr for Values {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(range) = range(text)? {
            return Ok(range);
        }
        let words = split(text, ',')?;
        if words.iter().any(|word| word.is_empty()) {
            return Err("a value is empty; separate values by one comma, as in 0.8,0.9".into());
        }
        Ok(Self::Each(words.into_iter().map(value).collect()))
    }
}

impl Values {
    /// The settings of a key for each of the values. `None` for a range.
    pub fn settings(&self, key: &str) -> Option<Vec<Setting>> {
        let Self::Each(values) = self else { return None };
        Some(values.iter().map(|value| Setting { key: key.into(), value: value.clone() }).collect())
    }
}

/// A parser of the values of a flag of its own. `check` parses one value for its message.
pub fn checked<T>(
    check: impl Fn(&str) -> Result<T, String> + Clone,
) -> impl Fn(&str) -> Result<Values, String> + Clone {
    move |text| {
        if let Some(range) = range(text)? {
            return Ok(range);
        }
        let one = |word: &str| check(word.trim()).map(|_| value(word));
        text.split(',').map(one).collect::<Result<_, _>>().map(Values::Each)
    }
}

/// Parses the hidden layers to try: alternatives separated by slashes, with commas between the layers of each.
pub fn hidden(text: &str) -> Result<Values, String> {
    let wrong = || format!("`{text}` is not a list of sizes such as 128,64; separate alternatives by slashes");
    let size = |size: &str| size.trim().parse::<u32>().map(|size| Value::from(i64::from(size))).map_err(|_| wrong());
    let one = |sizes: &str| sizes.split(',').map(size).collect::<Result<Vec<_>, _>>().map(|sizes| Some(sizes.into()));
    text.split('/').map(one).collect::<Result<_, _>>().map(Values::Each)
}

/// Parses `KIND:LOW..HIGH`. `None` if the text does not begin with a kind of range.
fn range(text: &str) -> Result<Option<Values>, String> {
    let Some((kind, ends)) = text.split_once(':') else { return Ok(None) };
    let Some(&(_, draw)) = DRAWS.iter().find(|(name, _)| *name == kind.trim()) else { return Ok(None) };
    let number = |word: &str| word.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    let ends = ends.split_once("..").and_then(|(low, high)| Some((number(low)?, number(high)?)));
    let Some((low, high)) = ends else {
        return Err(format!("a range is written as {kind}:LOW..HIGH, with two numbers, as in log:1e-4..1e-1"));
    };
    if low >= high {
        return Err(format!("the range from {low} to {high} is empty; its first number has to be the smaller one"));
    }
    match draw {
        Draw::Log if low <= 0.0 => Err("a range of logarithms needs numbers above 0".into()),
        Draw::Int if low.fract() != 0.0 || high.fract() != 0.0 || low.abs().max(high.abs()) > 1e9 => {
            Err("a range of whole numbers needs two whole numbers below 1000000000".into())
        }
        _ => Ok(Some(Values::Range { draw, low, high })),
    }
}

/// A value as TOML writes it; other words are numbers that TOML writes differently, or text.
fn value(word: &str) -> Option<Value> {
    let word = word.trim();
    if word == NONE {
        return None;
    }
    let table: Option<toml::Table> = toml::from_str(&format!("value = {word}")).ok();
    let parsed = table.filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    Some(match (parsed, word.parse::<f64>()) {
        (Some(Value::Datetime(_)), _) => Value::from(word),
        (Some(value), _) => value,
        (None, Ok(number)) => Value::from(number),
        (None, Err(_)) => Value::from(word),
    })
}

/// Parts of a text between separators that are in no brackets and no quotes.
fn split(text: &str, separator: char) -> Result<Vec<&str>, String> {
    let (mut parts, mut start, mut depth, mut quote) = (Vec::new(), 0, 0_i32, None);
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), _) => quote = Some(open).filter(|&open| open != letter),
            (None, '"' | '\'') => quote = Some(letter),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth -= 1,
            (None, _) if letter == separator && depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + letter.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    match (depth, quote) {
        (0, None) => Ok(parts),
        (_, Some(quote)) => Err(format!("a quote {quote} has no end")),
        _ => Err("a bracket has no partner".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(text: &str) -> Vec<String> {
        let Ok(Values::Each(values)) = text.parse() else { panic!("{text}") };
        values.iter().map(|value| value.as_ref().map_or_else(|| "nothing".into(), Value::to_string)).collect()
    }

    #[test]
    fn values_are_toml_and_other_words_are_text() {
        assert_eq!(each("0.1,1e-2,.5,3"), ["0.1", "0.01", "0.5", "3"]);
        assert_eq!(each("true,relu,none,\"none\""), ["true", "\"relu\"", "nothing", "\"none\""]);
        assert_eq!(each("[64],[128, 64]"), ["[64]", "[128, 64]"]);
        assert_eq!(each("{ kind = \"step\", every = 5 },{kind='cosine'}").len(), 2);
        assert_eq!(each("'a,b.pth',c.pth"), ["\"a,b.pth\"", "\"c.pth\""]);
        assert_eq!(each("2026-01-02"), ["\"2026-01-02\""]);
        assert_eq!(each("1/5,2/5"), ["\"1/5\"", "\"2/5\""]);
    }

    #[test]
    fn ranges_have_two_ends_in_order() {
        let log: Values = "log:1e-4..0.1".parse().expect("a range");
        assert_eq!(log, Values::Range { draw: Draw::Log, low: 1e-4, high: 0.1 });
        let cases = [
            ("log:1", "LOW..HIGH"),
            ("uniform:1..x", "LOW..HIGH"),
            ("log:0..1", "above 0"),
            ("uniform:2..1", "from 2 to 1 is empty"),
            ("int:1..2.5", "whole numbers"),
            ("1,,2", "empty"),
            ("", "empty"),
            ("[1,2", "partner"),
            ("'a", "quote"),
        ];
        for (text, part) in cases {
            let said = text.parse::<Values>().expect_err("refused");
            assert!(said.contains(part), "{text}: {said}");
        }
    }

    #[test]
    fn hidden_layers_are_lists() {
        assert_eq!(hidden("64/128,64"), "[64],[128,64]".parse());
        assert!(hidden("64;32").expect_err("refused").contains("not a list of sizes"));
    }
}
