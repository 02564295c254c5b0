//! Weights of classes from a file.

use std::collections::BTreeMap;
use std::path::Path;

use crate::files::read_text;
use crate::train::ClassWeights;
use crate::{Error, Result};

/// The weights of classes that a word means: `balanced`, or the name of a CSV file with a line `CLASS,WEIGHT` for each class whose weight
/// is not 1. Its first line may name the columns.
///
/// # Errors
/// When the file cannot be read, or a line has no weight.
pub fn class_weights(word: &str) -> Result<ClassWeights> {
    if word == "balanced" {
        return Ok(ClassWeights::BALANCED);
    }
    let path = Path::new(word);
    if !path.exists() {
        return Err(Error::usage(format!(
            "The weights of classes are `balanced` or a file with a line CLASS,WEIGHT for each class, but there is no file {word}."
        )));
    }
    parse(&read_text(path, "class weights")?, word).map(ClassWeights::Named)
}

fn parse(text: &str, name: &str) -> Result<BTreeMap<String, f32>> {
    let mut named = BTreeMap::new();
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    for (number, record) in (1..).zip(reader.records()) {
        let record = record.map_err(|error| Error::data(format!("{name} is no CSV file: {error}.")))?;
        let wrong = || {
            let line: Vec<&str> = record.iter().collect();
            Error::data(format!(
                "{name}, record {number} (`{}`): it must be a class and its weight, as in `cat,2.5`.",
                line.join(",")
            ))
        };
        let (Some(class), Some(weight), 2) = (record.get(0), record.get(1), record.len()) else { return Err(wrong()) };
        match weight.parse::<f32>() {
            Ok(weight) if named.contains_key(class) => {
                return Err(Error::data(format!(
                    "{name} names the class {class} twice; the second time with {weight}."
                )));
            }
            Ok(weight) => named.insert(class.to_owned(), weight),
            // The names of the columns.
            Err(_) if number == 1 => None,
            Err(_) => return Err(wrong()),
        };
    }
    if named.is_empty() {
        return Err(Error::data(format!("{name} has no line with a class and its weight.")));
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_classes_and_weights() {
        let right: BTreeMap<String, f32> = [("cat".into(), 2.5), ("dog, large".into(), 1.0)].into();
        assert_eq!(parse("class,weight\ncat,2.5\n\"dog, large\", 1\n", "w.csv").expect("weights"), right);
        for (text, part) in [
            ("", "no line"),
            ("class,weight\n", "no line"),
            ("cat,2\ndog", "record 2"),
            ("cat,2\ncat,3", "twice"),
            ("cat,2\ndog,many", "dog,many"),
        ] {
            let sentence = parse(text, "w.csv").expect_err("refused").to_string();
            assert!(sentence.contains(part), "{sentence}");
        }
        let sentence = class_weights("balancd").expect_err("refused").to_string();
        assert!(sentence.contains("balanced") && sentence.contains("balancd"), "{sentence}");
    }
}
