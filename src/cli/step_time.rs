//! The time of a training step on a device, for `gpunn summary`.

use crate::blocking::block_on;
use crate::data::{Dataset, LabelSets};
use crate::datasets::Outline;
use crate::graph::kernel::DeviceClass;
use crate::random::{CounterRng, Purpose};
use crate::train::{Recipe, Trial, time_step};
use crate::{Engine, Result};

use super::auto_device::{LEAST_IMAGES, SECONDS, SLOW_CPU};
use super::working::Working;

/// A measured time.
#[derive(Clone, Debug, serde::Serialize)]
pub struct StepTime {
    /// The device's name.
    pub device: String,
    /// Seconds for a batch of the recipe.
    pub seconds: f64,
    /// The images of the measured step. If they are fewer than a batch, the time of a batch is estimated from it.
    pub images: usize,
}

/// Times a step of a recipe on noise. It takes about a quarter of a second, or two steps if one takes longer. The CPU and software adapters
/// get fewer images than a batch if the network is large. `flops` are those of an image in a step.
pub fn measure(engine: Engine, recipe: &Recipe, of: &Outline, flops: u64) -> Result<StepTime> {
    let device = engine.device_name();
    let hardware = engine.target().device.is_some_and(|device| device.class != DeviceClass::Software);
    let enough = (SECONDS * SLOW_CPU / flops.max(1) as f64) as usize;
    let images = if hardware { usize::MAX } else { enough.max(LEAST_IMAGES) }.min(recipe.training.batch_size);
    let _work = Working::new("timing a training step", false);
    let trial = Trial { clock: crate::runs::clock, seconds: SECONDS, images };
    let mut recipe = recipe.clone();
    // The time of a batch is estimated from the images that the dataset has.
    let batch = std::mem::replace(&mut recipe.training.batch_size, images);
    let (time, _) = block_on(time_step(engine, &recipe, &noise(of, images, recipe.data.is_multi_label())?, trial))?;
    Ok(StepTime { device, seconds: time.seconds * batch as f64 / images as f64, images })
}

/// So many random images, all of the first class.
fn noise(of: &Outline, images: usize, is_multi_label: bool) -> Result<Dataset> {
    let random = CounterRng::new(0, Purpose::Augment, 0, 0);
    let values = images * of.input.iter().product::<usize>();
    let pixels: Vec<u8> =
        (0..values.div_ceil(4) as u32).flat_map(|block| random.block(block).map(|word| word as u8)).collect();
    let dataset = Dataset::from_images(pixels[..values].to_vec(), of.input, vec![0; images], ["0"])?;
    let sets = is_multi_label.then(|| LabelSets::singles(1));
    Ok(Dataset { classes: (0..of.classes).map(|class| class.to_string()).collect(), sets, ..dataset })
}
