//! The answers of `gpunn predict` for images with any number of labels.

use crate::inference::Prediction;
use crate::{Error, Result};

use super::Args;
use super::answers::Sheet;

/// The default of --threshold.
const THRESHOLD: f64 = 0.5;

/// Which labels an image is given.
#[derive(Clone, Copy, Debug)]
pub enum Given {
    /// Those with at least this probability.
    From(f64),
    /// The most probable ones, as many as this.
    Most(usize),
}

impl Given {
    /// As the flags say. `None` for a network that gives an image one class.
    pub fn of(args: &Args, is_multi_label: bool) -> Result<Option<Self>> {
        if !is_multi_label {
            return match args.threshold {
                None => Ok(None),
                Some(_) => Err(Error::usage(
                    "--threshold is for networks that give an image any number of labels, but this one gives it one class; \
                     --min-confidence answers `unknown` below a confidence.",
                )),
            };
        }
        if args.min_confidence > 0.0 {
            return Err(Error::usage(
                "This network gives an image any number of labels; --threshold says from which probability on, instead of \
                 --min-confidence.",
            ));
        }
        if args.sort_into.is_some() {
            return Err(Error::usage(
                "--sort-into copies an image into the folder of its class, but this network gives an image any number of labels; \
                 --csv lists them.",
            ));
        }
        let threshold = args.threshold.unwrap_or(THRESHOLD);
        if !(0.0..=1.0).contains(&threshold) {
            return Err(Error::usage(format!("--threshold is {threshold}, but has to be from 0 to 1, as in 0.5.")));
        }
        Ok(Some(args.top.map_or(Self::From(threshold), Self::Most)))
    }
}

/// The labels of one image, the most probable first.
#[derive(Debug, serde::Serialize)]
pub struct Labelled {
    pub image: String,
    pub labels: Vec<Prediction>,
}

impl Labelled {
    pub fn new(image: String, prediction: &Prediction, given: Given, classes: &[String]) -> Self {
        let labels = match given {
            Given::From(threshold) => prediction.labels(threshold, classes),
            Given::Most(count) => prediction.likeliest(count, classes),
        };
        Self { image, labels }
    }

    /// The head of a CSV file, and how it becomes a row of it.
    pub fn head() -> Vec<String> {
        ["image", "labels", "confidences"].map(String::from).to_vec()
    }

    /// Writes a row, with `;` between labels.
    pub fn write(&self, csv: &mut Sheet) -> Result<()> {
        let joined = |of: &dyn Fn(&Prediction) -> String| self.labels.iter().map(of).collect::<Vec<_>>().join(";");
        let labels = joined(&|label| label.class.clone());
        csv.write(&[self.image.clone(), labels, joined(&|label| format!("{:.6}", label.confidence))])
    }
}

impl std::fmt::Display for Labelled {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let one = |label: &Prediction| format!("{} ({})", label.class, crate::cli::percent(label.confidence));
        let labels = self.labels.iter().map(one).collect::<Vec<_>>().join(", ");
        write!(f, "{}: {}", self.image, if labels.is_empty() { "no label" } else { &labels })
    }
}
