//! Devices that offer little: WebGPU's default limits exactly, and no optional feature.

use gpunn::Engine;
use gpunn::data::Dataset;
use gpunn::gpu::{DeviceOptions, Limits};
use gpunn::train::Recipe;
use kernels_tests::gpu;
use kernels_tests::numbers::assert_close;
use kernels_tests::training::{epochs, hash, small, trainer};

/// A dense network, a convolutional one and a convolutional autoencoder, each on a few of the embedded images.
fn networks() -> Vec<(Recipe, Dataset)> {
    let like = |name: &'static str| {
        move |recipe: &mut Recipe| {
            let other = Recipe::find(name).expect("built in");
            (recipe.model, recipe.optimizer) = (other.model, other.optimizer);
        }
    };
    [("nist36-mlp", 64), ("nist36-cnn", 64), ("nist36-autoencoder-conv", 64)]
        .map(|(name, images)| small(images, 1, like(name)))
        .into()
}

/// The weights' hash and the training loss after an epoch.
fn trained(engine: Engine, (recipe, dataset): &(Recipe, Dataset)) -> (String, f64) {
    let mut trainer = trainer(engine, recipe, dataset);
    let loss = epochs(&mut trainer, 1)[0].train_loss;
    (hash(&mut trainer), loss)
}

/// Trains each network on a device with some limits, and asserts that the weights have the bits of a device with all limits.
fn trains_with(limits: Limits) {
    for network in networks() {
        let Some(whole) = gpu(DeviceOptions::default()) else { return };
        let whole = trained(whole, &network);
        let options = DeviceOptions { limits: Some(limits.clone()), ..DeviceOptions::default() };
        let limited = gpu(options).expect("the adapter is still there");
        assert_eq!(trained(limited, &network), whole, "{}", network.0.model.name);
    }
}

#[test]
fn networks_train_within_webgpus_default_limits() {
    trains_with(Limits::default());
}

/// The smallest bindings and buffers that the networks fit: less than a part in sixteen of the default.
#[test]
fn networks_train_in_small_bindings() {
    let small = 8 << 20;
    trains_with(Limits { max_storage_buffer_binding_size: small, max_buffer_size: small, ..Limits::default() });
}

/// Without subgroups other kernels run, whose sums have another order.
#[test]
fn networks_train_without_optional_features() {
    for network in networks() {
        let Some(whole) = gpu(DeviceOptions::default()) else { return };
        let (_, wanted) = trained(whole, &network);
        let limits = Some(Limits::default());
        let bare = DeviceOptions { limits, without_features: true, profile: true, ..DeviceOptions::default() };
        let bare = gpu(bare).expect("the adapter is still there");
        let device = bare.target().device.expect("a GPU");
        assert!(device.subgroup.is_none() && device.matrix_units.is_none());
        let (_, loss) = trained(bare, &network);
        assert_close(&[loss], &[wanted], 0.0, 1e-4);
    }
}
