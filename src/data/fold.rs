//! One part of a cross-validation.

use crate::{Error, Result};

/// One of several equal parts of the training images, which is held out: `2/5` is the second of five.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fold {
    /// The part, from 1.
    pub part: usize,
    /// The number of parts, at least 2.
    pub of: usize,
}

impl std::str::FromStr for Fold {
    type Err = Error;
    /// Reads `PART/OF`. Anything else gives an [`Error::Usage`].
    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((part, of)) if of >= 2 && (1..=of).contains(&part) => Ok(Self { part, of }),
            _ => Err(Error::usage(format!(
                "A fold is written as \"2/5\", the second of five parts, with at least two parts; `{text}` is none."
            ))),
        }
    }
}

impl std::fmt::Display for Fold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

impl TryFrom<String> for Fold {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Fold> for String {
    fn from(fold: Fold) -> Self {
        fold.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_are_read_as_they_are_written() {
        let fold: Fold = "2/5".parse().expect("a fold");
        assert_eq!((fold, fold.to_string().as_str()), (Fold { part: 2, of: 5 }, "2/5"));
        for wrong in ["0/5", "6/5", "1/1", "2", "a/b", "", "-1/5"] {
            let sentence = wrong.parse::<Fold>().expect_err("refused").to_string();
            assert!(sentence.contains(&format!("`{wrong}`")), "{sentence}");
        }
    }
}
