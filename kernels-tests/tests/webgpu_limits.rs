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
    ["nist36-mlp", "nist36-cnn", "nist36-autoencoder-conv"].map(|name| small(32, 1, like(name))).into()
}

/// The weights' hash and the training loss after an epoch.
fn trained(engine: Engine, (recipe, dataset): &(Recipe, Dataset)) -> (String, f64) {
    let mut trainer = trainer(engine, recipe, dataset);
    let loss = epochs(&mut trainer, 1)[0].train_loss;
    (hash(&mut trainer), loss)
}

/// The weights have the bits of a device with all limits, within WebGPU's default limits and in bindings that are a sixteenth of
/// those. Without subgroups other kernels run, whose sums have another order.
#[test]
fn networks_train_on_devices_that_offer_little() {
    for network in networks() {
        let name = &network.0.model.name;
        let Some(whole) = gpu(DeviceOptions::default()) else { return };
        let whole = trained(whole, &network);
        let little = 8 << 20;
        let small = Limits { max_storage_buffer_binding_size: little, max_buffer_size: little, ..Limits::default() };
        for limits in [Limits::default(), small] {
            let options = DeviceOptions { limits: Some(limits.clone()), ..DeviceOptions::default() };
            let limited = gpu(options).expect("the adapter is still there");
            let bytes = limited.target().max_binding;
            assert!(bytes <= limits.max_storage_buffer_binding_size as usize, "{bytes}");
            assert_eq!(trained(limited, &network), whole, "{name}");
        }
        let limits = Some(Limits::default());
        let bare = DeviceOptions { limits, without_features: true, profile: true, ..DeviceOptions::default() };
        let bare = gpu(bare).expect("the adapter is still there");
        let device = bare.target().device.expect("a GPU");
        assert!(device.subgroup.is_none() && device.matrix_units.is_none());
        assert_close(&[trained(bare, &network).1], &[whole.1], 0.0, 1e-4);
    }
}
