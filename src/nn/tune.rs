//! Which layers of a network are trained, for fine-tuning.

use super::layer::{Child, Layer};
use super::model::Model;
use super::parameters::{Tuning, is_of};
use crate::{Error, Result};

/// Which layers are trained. Only the network's own layers with parameters count; a block of several layers counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Unfreeze {
    /// All layers.
    All,
    /// Only the last layer, the classifier.
    Classifier,
    /// This many of the last layers.
    Last(usize),
}

impl Unfreeze {
    /// The number of trained layers, counted from the end.
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
    /// Reads `all`, `classifier` or `last:N`. Other words give an [`Error::Usage`].
    fn from_str(word: &str) -> Result<Self> {
        let last = word.strip_prefix("last:").and_then(|count| count.parse().ok()).filter(|&count| count > 0);
        match (word, last) {
            ("all", _) => Ok(Self::All),
            ("classifier", _) => Ok(Self::Classifier),
            (_, Some(count)) => Ok(Self::Last(count)),
            _ => Err(Error::usage(format!(
                "The layers to train (unfreeze) are `{word}`, but have to be all, classifier or last:N, as in last:3."
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
    /// The names of the network's own layers that have parameters, in order. Inner layers belong to the layer around them.
    fn learning_layers(&self) -> Vec<&str> {
        let has = |name: &&str| self.parameters().iter().any(|parameter| is_of(&parameter.name, name));
        self.layers().iter().map(|(name, _)| name).filter(has).collect()
    }

    /// Whether a parameter belongs to the classifier, the last layer with parameters. It is initialised from scratch when
    /// the classes differ.
    pub fn is_classifiers(&self, parameter: &str) -> bool {
        self.learning_layers().last().is_some_and(|last| is_of(parameter, last))
    }

    /// The number of layers before the classifier.
    pub fn layers_before_classifier(&self) -> usize {
        let classifier = self.learning_layers().last().copied();
        self.layers().iter().take_while(|&(name, _)| Some(name) != classifier).count()
    }

    /// Makes the parameters of the classifier those of the head.
    pub(super) fn mark_head(&mut self) {
        if let Some(last) = self.learning_layers().last().map(|&last| last.to_owned()) {
            self.parameters_mut().mark_head(|parameter| is_of(parameter, &last));
        }
    }

    /// The number of first layers whose output for an image never changes in training: those before the first layer that is
    /// trained or draws random numbers. 0 if none of them has parameters, because there is then little to save.
    pub fn frozen_layers(&self) -> usize {
        let learns = |name: &str| self.parameters().updated().any(|parameter| is_of(&parameter.name, name));
        let mut same = Vec::new();
        // [`Model::new`] has already checked that all layers fit.
        let walked = self.layers().walk(self.input(), |name, layer, input, _| {
            same.push(!learns(name) && !draws(layer, input));
        });
        debug_assert!(walked.is_ok());
        let count = same.iter().take_while(|&&same| same).count();
        let has = |name: &str| self.parameters().iter().any(|parameter| is_of(&parameter.name, name));
        if self.layers().iter().take(count).any(|(name, _)| has(name)) { count } else { 0 }
    }

    /// Freezes all layers except those to train. If `rate` is given, the trained layers are pretrained: the learning rate of
    /// all but the classifier is multiplied by it. That of each layer is multiplied by `layer_decay` for each layer after it.
    pub(super) fn tune(&mut self, unfreeze: Unfreeze, rate: Option<f32>, layer_decay: f32) {
        let layers: Vec<String> = self.learning_layers().into_iter().map(str::to_owned).collect();
        let first = layers.len().saturating_sub(unfreeze.layers());
        let how = |number: usize| {
            let after = layers.len() - 1 - number;
            let pretrained = if after > 0 { rate.unwrap_or(1.0) } else { 1.0 };
            match pretrained * layer_decay.powi(after as i32) {
                _ if number < first => Tuning::Frozen,
                1.0 => Tuning::Full,
                factor => Tuning::Scaled(factor),
            }
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
    fn only_the_last_layers_are_trained() {
        assert_eq!(frozen(Unfreeze::All), [""; 0]);
        assert_eq!(frozen(Unfreeze::Classifier), ["conv1.weight", "conv2.weight", "conv3.weight", "fc1.weight"]);
        assert_eq!(frozen(Unfreeze::Last(1)), frozen(Unfreeze::Classifier));
        assert_eq!(frozen(Unfreeze::Last(3)), ["conv1.weight", "conv2.weight"]);
        assert_eq!(frozen(Unfreeze::Last(99)), [""; 0]);
    }

    /// timm's `layer_decay`: the classifier has the whole rate, the layer before it the factor, the one before that its square.
    #[test]
    fn earlier_layers_have_smaller_rates() {
        let rates = |config: ModelConfig| -> Vec<f32> {
            let model = config.build([3, 32, 32], 10).expect("a model");
            let of = |name: &str| {
                let parameter = model.parameters().find(name).expect(name);
                model.parameters().group_of(parameter).rate
            };
            ["conv1.weight", "conv2.bias", "conv3.weight", "fc1.weight", "fc2.weight"].map(of).to_vec()
        };
        let decayed = ModelConfig { layer_decay: Some(0.5), ..ModelConfig::named("cnn") };
        assert_eq!(rates(decayed.clone()), [0.0625, 0.125, 0.25, 0.5, 1.0]);
        let file = Some("weights.safetensors".into());
        let tuned =
            ModelConfig { pretrained: file, pretrained_rate: Some(0.25), unfreeze: Some(Unfreeze::Last(3)), ..decayed };
        assert_eq!(rates(tuned), [0.0, 0.0, 0.0625, 0.125, 1.0]);
        let wrong = ModelConfig { layer_decay: Some(1.5), ..ModelConfig::named("cnn") };
        assert!(wrong.build([3, 32, 32], 10).expect_err("refused").to_string().contains("layer_decay"));
    }

    /// Their features can be kept: no frozen layer changes an image's features from step to step.
    #[test]
    fn all_layers_before_the_classifier_of_pretrained_networks_can_be_frozen() {
        for name in crate::nn::models::torchvision_models() {
            let config = ModelConfig { unfreeze: Some(Unfreeze::Classifier), ..ModelConfig::named(name) };
            let model = config.build([3, 64, 64], 10).expect(name);
            assert!(model.frozen_layers() > 1, "{name}");
            assert_eq!(model.frozen_layers(), model.layers_before_classifier(), "{name}");
        }
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
