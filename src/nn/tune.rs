//! Which layers of a network learn, when it begins with weights from elsewhere.

use super::layer::{Child, Layer};
use super::model::Model;
use super::parameters::Tuning;
use crate::{Error, Result};

/// Which layers learn. Layers are counted as they follow one another in the network, those alone that have parameters; a
/// block of several is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Unfreeze {
    /// All.
    All,
    /// The last alone, which tells the classes apart.
    Classifier,
    /// The last so many.
    Last(usize),
}

impl Unfreeze {
    /// How many layers at the end that is.
    fn layers(self) -> usize {
        match self {
            Self::All => usize::MAX,
            Self::Classifier => 1,
            Self::Last(count) => count,
        }
    }
}

impl std::str::FromStr for Unfreeze {
    type Err = Error;
    /// `all`, `classifier` or `last:N`; an [`Error::Usage`] for other words.
    fn from_str(word: &str) -> Result<Self> {
        let last = word.strip_prefix("last:").and_then(|count| count.parse().ok()).filter(|&count| count > 0);
        match (word, last) {
            ("all", _) => Ok(Self::All),
            ("classifier", _) => Ok(Self::Classifier),
            (_, Some(count)) => Ok(Self::Last(count)),
            _ => Err(Error::usage(format!(
                "What learns (unfreeze) is `{word}`, but has to be all, classifier or last:N, as in last:3."
            ))),
        }
    }
}

impl std::fmt::Display for Unfreeze {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Classifier => f.write_str("classifier"),
            Self::Last(count) => write!(f, "last:{count}"),
        }
    }
}

impl TryFrom<String> for Unfreeze {
    type Error = Error;
    fn try_from(word: String) -> Result<Self> {
        word.parse()
    }
}

impl From<Unfreeze> for String {
    fn from(unfreeze: Unfreeze) -> Self {
        unfreeze.to_string()
    }
}

impl Model {
    /// The names of its layers that have parameters, in order; those inside another are that one's.
    fn learning_layers(&self) -> Vec<&str> {
        let has = |name: &&str| self.parameters().iter().any(|parameter| is_of(&parameter.name, name));
        self.layers().iter().map(|(name, _)| name).filter(has).collect()
    }

    /// Whether a parameter is its classifier's: the last layer's, which begins anew where the classes are others.
    pub fn is_classifiers(&self, parameter: &str) -> bool {
        self.learning_layers().last().is_some_and(|last| is_of(parameter, last))
    }

    /// How many layers at its start give the same for an image whenever it comes: those before the first that learns or draws
    /// random numbers. 0 where none of them has parameters.
    pub fn frozen_layers(&self) -> usize {
        let learns = |name: &str| self.parameters().updated().any(|parameter| is_of(&parameter.name, name));
        let mut same = Vec::new();
        // [`Model::new`] has excluded that a layer does not fit.
        let walked = self.layers().walk(self.input(), |name, layer, input, _| {
            same.push(!learns(name) && !draws(layer, input));
        });
        debug_assert!(walked.is_ok());
        let count = same.iter().take_while(|&&same| same).count();
        let has = |name: &str| self.parameters().iter().any(|parameter| is_of(&parameter.name, name));
        if self.layers().iter().take(count).any(|(name, _)| has(name)) { count } else { 0 }
    }

    /// Freezes all layers but those that are to learn. Of these, all but the classifier learn at `rate` times the learning
    /// rate, where one is given: their weights come from elsewhere.
    pub(super) fn tune(&mut self, unfreeze: Unfreeze, rate: Option<f32>) {
        let layers: Vec<String> = self.learning_layers().into_iter().map(str::to_owned).collect();
        let first = layers.len().saturating_sub(unfreeze.layers());
        let how = |number: usize| match rate {
            _ if number < first => Tuning::Frozen,
            Some(rate) if number + 1 < layers.len() => Tuning::Times(rate),
            _ => Tuning::Full,
        };
        self.parameters_mut().tune(|parameter| {
            let number = layers.iter().position(|layer| is_of(&parameter.name, layer));
            number.map_or(Tuning::Full, how)
        });
    }
}

/// Whether a layer, or one inside it, draws random numbers while training.
fn draws(layer: &dyn Layer, input: &[usize]) -> bool {
    let parts = layer.children(input);
    let within = |part: &Child| part.layers.iter().any(|&(_, layer)| draws(layer, &part.input));
    layer.is_random() || parts.iter().any(within)
}

/// Whether a parameter stands under a layer's name.
fn is_of(parameter: &str, layer: &str) -> bool {
    parameter.strip_prefix(layer).is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::models::ModelConfig;

    fn frozen(unfreeze: Unfreeze) -> Vec<String> {
        let config = ModelConfig { unfreeze: Some(unfreeze), ..ModelConfig::named("cnn") };
        let model = config.build([3, 32, 32], 10).expect("a model");
        let parameters = model.parameters();
        let frozen = parameters.iter().filter(|parameter| parameters.is_frozen(parameter));
        frozen.map(|parameter| parameter.name.clone()).filter(|name| name.ends_with("weight")).collect()
    }

    #[test]
    fn the_last_layers_learn() {
        assert_eq!(frozen(Unfreeze::All), [""; 0]);
        assert_eq!(frozen(Unfreeze::Classifier), ["conv1.weight", "conv2.weight", "conv3.weight", "fc1.weight"]);
        assert_eq!(frozen(Unfreeze::Last(1)), frozen(Unfreeze::Classifier));
        assert_eq!(frozen(Unfreeze::Last(3)), ["conv1.weight", "conv2.weight"]);
        assert_eq!(frozen(Unfreeze::Last(99)), [""; 0]);
    }

    #[test]
    fn words_are_read_and_written() {
        for word in ["all", "classifier", "last:3"] {
            assert_eq!(word.parse::<Unfreeze>().expect("read").to_string(), word);
        }
        for word in ["last:0", "last", "head", "last:-1"] {
            assert!(word.parse::<Unfreeze>().expect_err("refused").to_string().contains("last:3"));
        }
    }
}
