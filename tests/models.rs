//! The models: their parameters have PyTorch's names, and they learn.

use gpunn::nn::models::ModelConfig;
use gpunn::nn::{Model, ParameterLayout};

/// The names and shapes of the parameters, in order.
fn listed(layout: &ParameterLayout) -> Vec<(String, String)> {
    layout.iter().map(|parameter| (parameter.name.clone(), parameter.shape.to_string())).collect()
}

fn built(config: ModelConfig, input: [usize; 3], classes: usize) -> Model {
    config.build(input, classes).expect("a model")
}

fn is(model: &Model, wanted: &[(&str, &str)]) {
    let wanted: Vec<(String, String)> =
        wanted.iter().map(|&(name, shape)| (name.to_owned(), shape.to_owned())).collect();
    assert_eq!(listed(model.parameters()), wanted);
}

#[test]
fn the_cnns_are_the_sources() {
    let model = built(ModelConfig::named("cnn"), [1, 32, 32], 36);
    is(
        &model,
        &[
            ("conv1.weight", "20x1x3x3"),
            ("conv1.bias", "20"),
            ("conv2.weight", "40x20x3x3"),
            ("conv2.bias", "40"),
            ("conv3.weight", "30x40x3x3"),
            ("conv3.bias", "30"),
            ("fc1.weight", "64x120"),
            ("fc1.bias", "64"),
            ("fc2.weight", "36x64"),
            ("fc2.bias", "36"),
        ],
    );
    assert_eq!(model.parameters().count(), 28_354);
    let model = built(ModelConfig::named("cnn"), [3, 32, 32], 10);
    is(
        &model,
        &[
            ("conv1.weight", "32x3x4x4"),
            ("conv1.bias", "32"),
            ("conv2.weight", "64x32x4x4"),
            ("conv2.bias", "64"),
            ("conv3.weight", "16x64x4x4"),
            ("conv3.bias", "16"),
            ("fc1.weight", "50x144"),
            ("fc1.bias", "50"),
            ("fc2.weight", "10x50"),
            ("fc2.bias", "10"),
        ],
    );
    assert_eq!(model.parameters().count(), 58_560);
    let model = built(ModelConfig::named("cnn"), [3, 256, 256], 8);
    is(
        &model,
        &[
            ("conv1.weight", "32x3x3x3"),
            ("conv1.bias", "32"),
            ("conv2.weight", "64x32x3x3"),
            ("conv2.bias", "64"),
            ("conv3.weight", "16x64x3x3"),
            ("conv3.bias", "16"),
            ("conv4.weight", "8x16x3x3"),
            ("conv4.bias", "8"),
            ("fc1.weight", "512x2048"),
            ("fc1.bias", "512"),
            ("fc2.weight", "8x512"),
            ("fc2.bias", "8"),
        ],
    );
    assert_eq!(model.parameters().count(), 1_082_976);
}

#[test]
fn the_recipes_say_what_the_models_are_by_themselves() {
    for (name, input, classes) in
        [("nist36-cnn", [1, 32, 32], 36), ("cifar10-cnn", [3, 32, 32], 10), ("sun8-cnn", [3, 256, 256], 8)]
    {
        let recipe = gpunn::train::Recipe::find(name).expect("built in");
        let (said, own) = (built(recipe.model, input, classes), built(ModelConfig::named("cnn"), input, classes));
        assert_eq!(listed(said.parameters()), listed(own.parameters()), "{name}");
    }
}

#[test]
fn a_resnet9_has_its_blocks_inside() {
    let config = ModelConfig { channels: Some(vec![4, 8, 16, 32]), ..ModelConfig::named("resnet9") };
    let model = built(config, [3, 32, 32], 10);
    let mut wanted = Vec::new();
    let mut conv = |outer: &str, number: usize, inputs: usize, outputs: usize| {
        wanted.push((format!("{outer}conv{number}.weight"), format!("{outputs}x{inputs}x3x3")));
        wanted.push((format!("{outer}bn{number}.weight"), outputs.to_string()));
        wanted.push((format!("{outer}bn{number}.bias"), outputs.to_string()));
    };
    conv("", 1, 3, 4);
    conv("", 2, 4, 8);
    conv("res2.", 1, 8, 8);
    conv("res2.", 2, 8, 8);
    conv("", 3, 8, 16);
    conv("", 4, 16, 32);
    conv("res4.", 1, 32, 32);
    conv("res4.", 2, 32, 32);
    wanted.push(("fc.weight".into(), "10x32".into()));
    assert_eq!(listed(model.parameters()), wanted);
    let statistics = listed(model.parameters().statistics());
    assert_eq!(statistics.len(), 16);
    assert_eq!(statistics[4], ("res2.bn1.running_mean".into(), "8".into()));
    assert_eq!(statistics[5], ("res2.bn1.running_var".into(), "8".into()));
    // The number of parameters of the original network.
    assert_eq!(built(ModelConfig::named("resnet9"), [3, 32, 32], 10).parameters().count(), 6_573_120);
}

#[test]
fn a_small_resnet18_has_the_names_and_the_size_of_torchvisions() {
    let model = built(ModelConfig::named("resnet18-small"), [3, 32, 32], 10);
    let names: Vec<String> = listed(model.parameters()).into_iter().map(|(name, _)| name).collect();
    let mut wanted: Vec<String> = ["conv1.weight", "bn1.weight", "bn1.bias"].map(String::from).to_vec();
    for (stage, block) in (1..=4).flat_map(|stage| [(stage, 0), (stage, 1)]) {
        let mut add = |name: &str| wanted.push(format!("layer{stage}.{block}.{name}"));
        ["conv1.weight", "bn1.weight", "bn1.bias", "conv2.weight", "bn2.weight", "bn2.bias"]
            .into_iter()
            .for_each(&mut add);
        if stage > 1 && block == 0 {
            ["downsample.0.weight", "downsample.1.weight", "downsample.1.bias"].into_iter().for_each(&mut add);
        }
    }
    wanted.extend(["fc.weight", "fc.bias"].map(String::from));
    assert_eq!(names, wanted);
    assert_eq!(model.parameters().count(), 11_173_962);
    // 20 batch norms, each with a running mean and a running variance.
    assert_eq!(model.parameters().statistics().iter().len(), 40);
    assert_eq!(model.parameters().statistics().count(), 9_600);
}

#[test]
fn a_summary_counts_what_stands_inside() {
    let model = built(ModelConfig::named("resnet18-small"), [3, 32, 32], 10);
    let lines = model.describe().expect("lines");
    let line = |name: &str| lines.iter().find(|line| line.name == name).unwrap_or_else(|| panic!("no {name}"));
    assert_eq!(line("conv1").output, [64, 32, 32]);
    assert_eq!(line("conv1").flops, 2 * 27 * 64 * 1024);
    let block = line("layer2.0");
    assert_eq!((block.depth, block.output.as_slice()), (0, [128, 16, 16].as_slice()));
    assert_eq!(block.parameters, 64 * 128 * 9 + 128 * 128 * 9 + 64 * 128 + 6 * 128);
    let inside = line("layer2.0.downsample.0");
    assert_eq!((inside.depth, inside.parameters, inside.flops), (1, 64 * 128, 2 * 64 * 128 * 256));
    let all: usize = lines.iter().filter(|line| line.depth == 0).map(|line| line.parameters).sum();
    assert_eq!(all, model.parameters().count());
}

#[test]
fn fields_that_a_model_does_not_have_are_refused() {
    let wrong = [
        (ModelConfig { channels: Some(vec![8]), ..ModelConfig::named("mlp") }, "The model mlp has no `channels`"),
        (ModelConfig { hidden: Some(vec![8]), ..ModelConfig::named("resnet9") }, "The model resnet9 has no `hidden`"),
        (ModelConfig { kernel: Some(3), ..ModelConfig::named("resnet18-small") }, "has no `kernel`"),
        (ModelConfig { dropout: 0.5, ..ModelConfig::named("autoencoder") }, "has no `dropout`"),
        (ModelConfig { channels: Some(vec![8, 8]), ..ModelConfig::named("resnet9") }, "takes 4 numbers of channels"),
        (ModelConfig { channels: Some(vec![8, 0]), ..ModelConfig::named("cnn") }, "'conv2'"),
        (ModelConfig { kernel: Some(40), ..ModelConfig::named("cnn") }, "'conv1'"),
        (ModelConfig { dropout: 1.0, ..ModelConfig::named("cnn") }, "from 0 to below 1"),
        (ModelConfig::named("resnet"), "did you mean `resnet9`"),
    ];
    for (config, part) in wrong {
        let sentence = config.build([3, 32, 32], 10).expect_err("refused").to_string();
        assert!(sentence.contains(part), "{sentence}");
    }
    // An image that is too small for three pools.
    let sentence = ModelConfig::named("cnn").build([1, 12, 12], 10).expect_err("refused").to_string();
    assert!(sentence.contains("'conv3'") && sentence.contains("covers 3 pixels"), "{sentence}");
}

#[test]
fn an_airbench_has_the_layers_and_the_size_of_the_original() {
    let model = built(ModelConfig::named("airbench"), [3, 32, 32], 10);
    let mut wanted = vec![("whiten.weight".to_owned(), "24x3x2x2".to_owned()), ("whiten.bias".into(), "24".into())];
    for (block, inputs, outputs) in [(1, 24, 64), (2, 64, 256), (3, 256, 256)] {
        for (conv, inputs) in [(1, inputs), (2, outputs)] {
            wanted.push((format!("block{block}.conv{conv}.weight"), format!("{outputs}x{inputs}x3x3")));
            wanted.push((format!("block{block}.bn{conv}.weight"), outputs.to_string()));
            wanted.push((format!("block{block}.bn{conv}.bias"), outputs.to_string()));
        }
    }
    wanted.push(("fc.weight".into(), "10x256".into()));
    assert_eq!(listed(model.parameters()), wanted);
    // airbench94 has 1.97 million. Its whitening and the weights of its batch norms are not learned.
    assert_eq!(model.parameters().count(), 1_972_792);
    let frozen = model.parameters().iter().filter(|parameter| model.parameters().is_frozen(parameter));
    assert_eq!(frozen.map(|parameter| parameter.shape.elements()).sum::<usize>(), 288 + 2 * (64 + 256 + 256));
    assert!(
        model.is_initialised_from_images()
            && !built(ModelConfig::named("cnn"), [3, 32, 32], 10).is_initialised_from_images()
    );
    let deep = ModelConfig { depth: Some(3), channels: Some(vec![128, 512, 512]), ..ModelConfig::named("airbench") };
    let deep = built(deep, [3, 32, 32], 10);
    // airbench96: 24 to 128, 128 to 512, 512 to 512, and two more convolutions in each block.
    let filters = 9 * (24 * 128 + 2 * 128 * 128 + 128 * 512 + 5 * 512 * 512);
    let norms = 2 * 3 * (128 + 512 + 512);
    assert_eq!(deep.parameters().count(), 288 + 24 + filters + norms + 5120);
    assert!(deep.parameters().find("block3.residual.conv3.weight").is_some());
    for depth in [0, 1, 4] {
        let config = ModelConfig { depth: Some(depth), ..ModelConfig::named("airbench") };
        let sentence = config.build([3, 32, 32], 10).expect_err("refused").to_string();
        assert!(sentence.contains("2 or 3"), "{sentence}");
    }
    let sentence = ModelConfig::named("airbench").build([3, 8, 8], 10).expect_err("too small").to_string();
    assert!(sentence.contains("block"), "{sentence}");
}
