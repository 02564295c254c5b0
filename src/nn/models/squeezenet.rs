//! SqueezeNet 1.0 and 1.1, with the parameter names of torchvision.

use super::ModelConfig;
use crate::Result;
use crate::nn::{Activation, Branches, Conv2d, Dropout, GlobalPool, Model, Pool2d, Pooling, Scheme, Sequence};

/// Output channels of a fire module's squeeze convolution, and of each of its two expand convolutions.
type Fire = [usize; 2];

/// The fire modules of both versions.
const FIRES: [Fire; 8] = [[16, 64], [16, 64], [32, 128], [32, 128], [48, 192], [48, 192], [64, 256], [64, 256]];

/// SqueezeNet 1.0 (F. Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and < 0.5 MB model size",
/// 2016).
///
/// # Errors
/// When a size is 0 or the images are below 21 pixels a side.
pub(super) fn squeezenet1_0(config: &ModelConfig, input: [usize; 3], classes: usize) -> Result<Model> {
    build("squeezenet1_0", config, Conv2d::new(96, 7, config.init), [0, 3, 7], (input, classes))
}

/// SqueezeNet 1.1, by the same authors: similar accuracy with less than half of the operations.
///
/// # Errors
/// When a size is 0 or the images are below 17 pixels a side.
pub(super) fn squeezenet1_1(config: &ModelConfig, input: [usize; 3], classes: usize) -> Result<Model> {
    build("squeezenet", config, Conv2d::new(64, 3, config.init), [0, 2, 4], (input, classes))
}

/// The first convolution with stride 2 and without padding, its ReLU, the fire modules, and the classifier: a convolution, a ReLU
/// and a global average-pool. There is a max-pool before the fire modules with the numbers `pooled`. The classifier's kernel is
/// 1x1 unless the recipe sets `kernel`.
fn build(
    name: &str,
    config: &ModelConfig,
    first: Conv2d,
    pooled: [usize; 3],
    (input, classes): ([usize; 3], usize),
) -> Result<Model> {
    let first = Conv2d { stride: 2.into(), ..first };
    let mut layers = Sequence::new().with("features.0", first).with("features.1", Activation::Relu);
    let mut number = 2;
    for (fires, &channels) in FIRES.iter().enumerate() {
        if pooled.contains(&fires) {
            // As in torchvision, the size is rounded up: the last window may reach beyond the image.
            let pool = Pool2d { stride: Some(2.into()), ceil: true, ..Pool2d::new(Pooling::Max, 3) };
            layers = layers.with(format!("features.{number}"), pool);
            number += 1;
        }
        layers = layers.with(format!("features.{number}"), fire(channels, config.init));
        number += 1;
    }
    if config.dropout > 0.0 {
        layers = layers.with("classifier.0", Dropout { rate: config.dropout });
    }
    let last = Conv2d::new(classes, config.kernel.unwrap_or(1), config.init);
    let layers = layers
        .with("classifier.1", last)
        .with("classifier.2", Activation::Relu)
        .with("classifier.3", GlobalPool(Pooling::Average));
    Model::new(name, &input, layers)
}

/// A fire module: a 1x1 convolution to few channels, then a 1x1 and a 3x3 convolution in parallel on its output.
fn fire([squeeze, expand]: Fire, scheme: Scheme) -> Branches {
    let branch = |name: &str, layer: Conv2d| {
        Sequence::new().with(name, layer).with(format!("{name}_activation"), Activation::Relu)
    };
    let three = Conv2d { padding: 1.into(), ..Conv2d::new(expand, 3, scheme) };
    Branches {
        trunk: branch("squeeze", Conv2d::new(squeeze, 1, scheme)),
        branches: vec![branch("expand1x1", Conv2d::new(expand, 1, scheme)), branch("expand3x3", three)],
    }
}
