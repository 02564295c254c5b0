//! The kinds of parameters, by which a recipe's optimizer has groups.

use super::parameters::{GROUP_SCALES, GROUP_SHIFTS, GROUP_WEIGHTS, GROUP_WHITENING_BIAS};
use crate::{Error, Result};

/// The kind of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ParameterKind {
    /// The weight of a convolution: its filters.
    Filters,
    /// Another weight: of a fully connected layer.
    Weights,
    /// All parameters of the last layer that has some, the classifier.
    Head,
    /// The bias of a convolution or a fully connected layer.
    Biases,
    /// The bias of a batch norm.
    Shifts,
    /// The weight of a batch norm.
    Scales,
    /// The bias of a whitening layer.
    WhiteningBias,
}

impl ParameterKind {
    /// All kinds with the names that recipes use.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("filters", Self::Filters),
        ("weights", Self::Weights),
        ("head", Self::Head),
        ("biases", Self::Biases),
        ("shifts", Self::Shifts),
        ("scales", Self::Scales),
        ("whitening-bias", Self::WhiteningBias),
    ];

    /// The kind of a parameter that a layer declares in this group, with so many axes.
    pub(super) fn of(group: u32, axes: usize) -> Self {
        match group {
            GROUP_SHIFTS => Self::Shifts,
            GROUP_SCALES => Self::Scales,
            GROUP_WHITENING_BIAS => Self::WhiteningBias,
            GROUP_WEIGHTS if axes > 2 => Self::Filters,
            GROUP_WEIGHTS => Self::Weights,
            // Of frozen parameters, the axes tell weights from biases.
            _ if axes > 2 => Self::Filters,
            _ if axes == 2 => Self::Weights,
            _ => Self::Biases,
        }
    }

    /// Whether it is a weight of two axes or more, which a matrix method can train.
    pub fn is_matrix(self) -> bool {
        matches!(self, Self::Filters | Self::Weights)
    }
}

impl std::fmt::Display for ParameterKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = Self::NAMES.iter().find(|(_, kind)| kind == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

impl std::str::FromStr for ParameterKind {
    type Err = Error;
    /// Reads a name of [`ParameterKind::NAMES`]. Other words give an [`Error::Usage`] with the nearest name.
    fn from_str(word: &str) -> Result<Self> {
        crate::error::named("kind of parameters", word, &Self::NAMES)
    }
}

impl TryFrom<String> for ParameterKind {
    type Error = Error;
    fn try_from(word: String) -> Result<Self> {
        word.parse()
    }
}

impl From<ParameterKind> for String {
    fn from(kind: ParameterKind) -> Self {
        kind.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::models::ModelConfig;

    #[test]
    fn each_parameter_of_a_network_has_its_kind() {
        let model = ModelConfig::named("airbench").build([3, 32, 32], 10).expect("a model");
        let kind = |name: &str| model.parameters().find(name).expect(name).kind.to_string();
        let kinds = ["whiten.bias", "block1.conv1.weight", "block1.bn1.bias", "fc.weight"].map(kind);
        assert_eq!(kinds, ["whitening-bias", "filters", "shifts", "head"]);
        let model = ModelConfig::named("mlp").build([1, 8, 8], 4).expect("a model");
        let kinds: Vec<String> = model.parameters().iter().map(|parameter| parameter.kind.to_string()).collect();
        assert_eq!(kinds, ["weights", "biases", "head", "head"]);
        let model = ModelConfig::named("resnet9").build([3, 32, 32], 4).expect("a model");
        assert!(model.parameters().iter().any(|parameter| parameter.kind == ParameterKind::Scales));
    }

    #[test]
    fn names_are_read_and_written_and_wrong_ones_get_the_nearest() {
        for (name, kind) in ParameterKind::NAMES {
            assert_eq!((name.parse::<ParameterKind>().expect("read"), kind.to_string().as_str()), (kind, name));
        }
        for (wrong, near) in [("filter", "`filters`"), ("shift", "`shifts`"), ("whitening_bias", "`whitening-bias`")] {
            let sentence = wrong.parse::<ParameterKind>().expect_err("refused").to_string();
            assert!(sentence.contains(near), "{sentence}");
        }
    }
}
