//! One network from several: the mean of their weights (M. Wortsman et al., "Model soups", ICML 2022).

use super::batched::Batched;
use super::buffers::write_weights;
use super::checkpoint::Checkpoint;
use super::graphs::{self, INPUT, INPUT_ORDER, SCORES};
use super::memory;
use crate::data::{Split, epoch_order};
use crate::graph::PlanOptions;
use crate::nn::models::ModelConfig;
use crate::nn::{STATISTICS, Weights};
use crate::{Engine, Error, Result};

/// The most images whose statistics are measured.
const MOST_IMAGES: usize = 10_000;

/// A checkpoint before its first epoch with the mean of the weights of several checkpoints, those that they use for inference: parameters,
/// and the running statistics of batch norm. It has the recipe of the first one. The mean is useful only if the networks were trained from
/// the same weights.
///
/// # Errors
/// [`Error::Usage`] for fewer than two checkpoints, and when a network, its images or its classes differ from the first one's.
pub fn average(checkpoints: &[Checkpoint]) -> Result<Checkpoint> {
    let [first, others @ ..] = checkpoints else { return Err(Error::usage("There are no weights to average.")) };
    if others.is_empty() {
        return Err(Error::usage("The mean of one network is itself; name at least two."));
    }
    if let Some(difference) = others.iter().find_map(|other| network_difference(first, other)) {
        return Err(Error::usage(format!(
            "The weights of a network cannot be averaged with the first one's: {difference}."
        )));
    }
    let model = first.model()?;
    let parameters = model.parameters();
    let all = checkpoints.iter().map(|one| one.weights_in_use(parameters)).collect::<Result<Vec<Weights>>>()?;
    let mean = |of: &dyn Fn(&Weights) -> &Vec<f32>| -> Vec<f32> {
        let sum = |at: usize| all.iter().map(|weights| f64::from(of(weights)[at])).sum::<f64>();
        (0..of(&all[0]).len()).map(|at| (sum(at) / all.len() as f64) as f32).collect()
    };
    let weights =
        Weights { learned: mean(&|weights| &weights.learned), statistics: mean(&|weights| &weights.statistics) };
    let shape = (first.input, first.classes.clone());
    Ok(Checkpoint::at_start(first.recipe.clone(), shape, parameters, &weights))
}

/// What distinguishes the network of another checkpoint, its images and classes, from the first one's, so that the mean of their weights
/// would mean nothing. Without a full stop.
pub fn network_difference(first: &Checkpoint, other: &Checkpoint) -> Option<String> {
    // These say how a network was trained, not what it computes.
    let network = |checkpoint: &Checkpoint| ModelConfig {
        pretrained: None,
        pretrained_file: None,
        unfreeze: None,
        pretrained_rate: None,
        layer_decay: None,
        dropout: 0.0,
        init: Default::default(),
        ..checkpoint.recipe.model.clone()
    };
    let normalised = |checkpoint: &Checkpoint| {
        let augment = checkpoint.recipe.augment.as_ref();
        augment.map(|augment| (augment.mean.clone(), augment.std.clone())).unwrap_or_default()
    };
    let (own, others) = (&first.recipe.model.name, &other.recipe.model.name);
    if own != others {
        return Some(format!("its network is {others} instead of {own}"));
    }
    if network(first) != network(other) {
        return Some(format!("its network {others} has other settings or layers"));
    }
    let difference = first.difference(other);
    difference
        .or_else(|| (normalised(first) != normalised(other)).then(|| "its images are normalized otherwise".into()))
}

/// Whether two networks began at the same weights, as far as their recipes say.
pub fn began_alike(first: &Checkpoint, other: &Checkpoint) -> bool {
    let start = |checkpoint: &Checkpoint| checkpoint.recipe.model.pretrained.clone();
    start(first) == start(other) && (start(first).is_some() || first.recipe.seed == other.recipe.seed)
}

/// Computes the running statistics of batch norm again, for images as in evaluation: the means over batches of the batches' means and
/// variances, as PyTorch's `update_bn` does for images as in training. They are taken from at most 10,000 images of the split, in a random
/// order. `watch` gets the number of images measured, and how many there are. Returns this number; 0 for a network without batch norm.
///
/// # Errors
/// When there are fewer than two images or they do not fit the network, the plan does not fit the device, or the device fails.
pub async fn recompute_statistics(
    engine: &mut Engine,
    checkpoint: &mut Checkpoint,
    split: &Split,
    watch: &mut dyn FnMut(usize, usize),
) -> Result<usize> {
    let model = checkpoint.model()?;
    let parameters = model.parameters();
    if parameters.statistics().is_empty() {
        return Ok(0);
    }
    let images = split.len().min(MOST_IMAGES);
    let batch = checkpoint.recipe.training.batch_size.min(images);
    if batch < 2 {
        return Err(Error::usage("The statistics of batch norm need at least two images in a batch."));
    }
    let mut weights = checkpoint.weights_in_use(parameters)?;
    let graph = graphs::measuring(&model, &checkpoint.recipe, checkpoint.input, batch)?;
    let plan = memory::plan(&graph, &engine.target(), PlanOptions::default())?;
    let program = Batched::load(engine, plan, (INPUT.into(), INPUT_ORDER), (checkpoint.input, batch), SCORES)?;
    write_weights(engine, parameters, &weights)?;
    let order = epoch_order(split.len(), checkpoint.recipe.seed, 0);
    // Incomplete batches are left out.
    let batches = images / batch;
    let mut sums = vec![0.0_f64; weights.statistics.len()];
    for (number, chosen) in order.chunks_exact(batch).take(batches).enumerate() {
        let chosen = split.select(chosen);
        let values: Vec<Vec<f32>> = (0..batch).filter_map(|at| chosen.image(at)).collect();
        program.run(engine, &values).await?;
        let measured = engine.read(STATISTICS).await?;
        sums.iter_mut().zip(measured).for_each(|(sum, value)| *sum += f64::from(value));
        watch((number + 1) * batch, batches * batch);
    }
    weights.statistics = sums.iter().map(|sum| (sum / batches as f64) as f32).collect();
    checkpoint.put_weights("", parameters, &weights);
    for copy in graphs::copies(&checkpoint.recipe) {
        checkpoint.put_weights(copy.prefix, parameters, &weights);
    }
    engine.forget();
    Ok(batches * batch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocking::block_on;
    use crate::data::{Pixels, glyphs};
    use crate::nn::models::ModelConfig;
    use crate::train::{Recipe, Trainer};

    /// A network with batch norm for the embedded dataset: its values are those of the first convolution.
    fn trainer(seed: u64) -> Trainer {
        let recipe = Recipe { seed, ..Recipe::new("resnet18-small") };
        recipe.trainer(&glyphs::dataset()).expect("a trainer")
    }

    fn fresh(seed: u64) -> Checkpoint {
        block_on(trainer(seed).checkpoint()).expect("a checkpoint")
    }

    #[test]
    fn each_weight_is_the_mean_of_the_weights() {
        let members = [fresh(1), fresh(2), fresh(3)];
        let mean = average(&members).expect("the same networks");
        for (name, (shape, values)) in &mean.tensors {
            if name.contains('/') || name == "train.sums" {
                continue;
            }
            assert_eq!(shape, &members[0].tensors[name].0);
            for (at, &value) in values.iter().enumerate() {
                let wanted = members.iter().map(|member| member.tensors[name].1[at]).sum::<f32>() / 3.0;
                assert!((value - wanted).abs() <= 1e-6 * wanted.abs().max(0.01), "{name} {at}: {value} {wanted}");
            }
        }
        assert_eq!((&mean.recipe, mean.counters.epoch), (&members[0].recipe, 0));
    }

    #[test]
    fn other_networks_are_named() {
        let first = fresh(1);
        let says = |change: &dyn Fn(&mut Checkpoint)| {
            let mut other = first.clone();
            change(&mut other);
            average(&[first.clone(), other]).map_or_else(|error| error.to_string(), |_| String::new())
        };
        assert_eq!(says(&|other| other.recipe.model.dropout = 0.5), "");
        assert!(
            says(&|other| other.recipe.model.name = "mlp".into())
                .contains("its network is mlp instead of resnet18-small")
        );
        assert!(says(&|other| other.recipe.model.logit_scale = Some(0.5)).contains("has other settings or layers"));
        assert!(says(&|other| other.classes.swap(0, 1)).contains("their order differs"));
        let normalised = |other: &mut Checkpoint| other.recipe.augment.get_or_insert_default().mean = Some(vec![0.3]);
        assert!(says(&normalised).contains("normalized otherwise"));
        assert!(average(std::slice::from_ref(&first)).expect_err("refused").to_string().contains("at least two"));
        assert!(!began_alike(&first, &fresh(2)) && began_alike(&first, &first));
        let tuned = |seed: u64| {
            let mut tuned = fresh(seed);
            tuned.recipe.model = ModelConfig { pretrained: Some("start.safetensors".into()), ..tuned.recipe.model };
            tuned
        };
        assert!(began_alike(&tuned(1), &tuned(2)));
    }

    #[test]
    fn statistics_are_those_of_the_images() {
        let mut checkpoint = fresh(4);
        checkpoint.recipe.training.batch_size = 32;
        let split = crate::data::limit(glyphs::dataset().train, 72, 1);
        let mut seen = Vec::new();
        let mut watch = |done: usize, of: usize| seen.push((done, of));
        let count = block_on(recompute_statistics(&mut Engine::cpu(), &mut checkpoint, &split, &mut watch));
        assert_eq!((count.expect("measured"), &seen[..]), (64, &[(32, 64), (64, 64)][..]));
        // The first batch norm follows the first convolution, which is computed here again.
        let weight = &checkpoint.tensors["conv1.weight"];
        let order = epoch_order(72, checkpoint.recipe.seed, 0);
        let [channels, side] = [weight.0[0], 32];
        let mut wanted = vec![[0.0_f64; 2]; channels];
        for chosen in order.chunks_exact(32).take(2) {
            for (channel, wanted) in wanted.iter_mut().enumerate() {
                let taps = &weight.1[channel * 9..][..9];
                let mut values = Vec::new();
                for &number in chosen {
                    let image = split.image(number as usize).expect("an image");
                    let at = |y: usize, x: usize| {
                        let place = y.checked_sub(1).zip(x.checked_sub(1)).filter(|&(y, x)| y < side && x < side);
                        place.map_or(0.0, |(y, x)| f64::from(image[y * side + x]))
                    };
                    for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (y, x))) {
                        let products =
                            taps.iter().enumerate().map(|(tap, &w)| f64::from(w) * at(y + tap / 3, x + tap % 3));
                        values.push(products.sum::<f64>());
                    }
                }
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
                wanted[0] += mean / 2.0;
                wanted[1] += squares / (values.len() - 1) as f64 / 2.0;
            }
        }
        for (place, name) in ["bn1.running_mean", "bn1.running_var"].into_iter().enumerate() {
            for (channel, &value) in checkpoint.tensors[name].1.iter().enumerate() {
                let wanted = wanted[channel][place];
                assert!((f64::from(value) - wanted).abs() < 1e-5 * wanted.abs().max(0.1), "{name}: {value} {wanted}");
            }
        }
    }

    #[test]
    fn networks_without_batch_norm_have_no_statistics() {
        let dataset = glyphs::dataset();
        let mut checkpoint =
            block_on(Recipe::new("mlp").trainer(&dataset).expect("a trainer").checkpoint()).expect("one");
        let before = checkpoint.clone();
        let split = Split::new(Pixels::U8(vec![0; 1024]), vec![0]);
        let found = block_on(recompute_statistics(&mut Engine::cpu(), &mut checkpoint, &split, &mut |_, _| ()));
        assert_eq!((found.expect("nothing to do"), checkpoint), (0, before));
    }
}
