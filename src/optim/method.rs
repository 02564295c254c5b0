//! The algorithms of optimizers.

use crate::{Error, Result};

/// The algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Stochastic gradient descent, with momentum if it is not 0.
    Sgd,
    /// D. P. Kingma and J. Ba, "Adam: A method for stochastic optimization", ICLR 2015.
    Adam,
    /// I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR 2019.
    AdamW,
    /// T. Tieleman and G. Hinton, "Lecture 6.5: RMSProp", 2012; with momentum if it is not 0.
    RmsProp,
    /// Y. You and others, "Large batch optimization for deep learning: training BERT in 76 minutes", ICLR 2020.
    Lamb,
}

const METHODS: [(&str, Method); 5] = [
    ("sgd", Method::Sgd),
    ("adam", Method::Adam),
    ("adamw", Method::AdamW),
    ("rmsprop", Method::RmsProp),
    ("lamb", Method::Lamb),
];

impl Method {
    /// Whether it has Adam's moments, beta1 and beta2.
    pub fn is_adam(self) -> bool {
        matches!(self, Self::Adam | Self::AdamW | Self::Lamb)
    }

    /// A learning rate to begin with, and the epsilon that its papers and libraries have. `None` for SGD, whose rate depends on the task.
    pub fn usual_numbers(self) -> Option<[f64; 2]> {
        match self {
            Self::Sgd => None,
            Self::Adam | Self::AdamW | Self::RmsProp => Some([1e-3, 1e-8]),
            Self::Lamb => Some([5e-3, 1e-6]),
        }
    }
}

impl std::str::FromStr for Method {
    type Err = Error;
    /// Reads `sgd`, `adam`, `adamw`, `rmsprop` or `lamb`. Other words give an [`Error::Usage`] with the nearest name.
    fn from_str(word: &str) -> Result<Self> {
        crate::error::named("optimizer", &word.to_lowercase(), &METHODS)
    }
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = METHODS.iter().find(|(_, method)| method == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}
