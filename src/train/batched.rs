//! A program that takes images of any number, in batches.

use crate::graph::Plan;
use crate::ops::Step;
use crate::{Engine, Error, Program, Result};

/// A program, loaded into an engine, that takes a batch of images and has an output with a row for each.
#[derive(Clone, Debug)]
pub(crate) struct Batched {
    program: Program,
    /// The buffer that images are written to.
    images: String,
    input: [usize; 3],
    batch: usize,
    output: &'static str,
}

impl Batched {
    /// Loads a plan. It reads the images from the buffer `images`, in the order that the buffer `order` holds, if it has that.
    pub fn load(
        engine: &mut Engine,
        plan: Plan,
        (images, order): (String, &str),
        (input, batch): ([usize; 3], usize),
        output: &'static str,
    ) -> Result<Self> {
        let ordered = plan.buffers.iter().any(|buffer| buffer.name == order);
        let program = engine.load(plan)?;
        if ordered {
            engine.write(order, 0, &(0..batch as u32).collect::<Vec<u32>>())?;
        }
        engine.schedule(program, &[Step::new(0, batch as u32, 0)])?;
        Ok(Self { program, images, input, batch, output })
    }

    /// The program.
    #[cfg(feature = "cli")]
    pub fn program(&self) -> Program {
        self.program
    }

    /// The output's row for each image.
    ///
    /// # Errors
    /// When the number of values of an image differs from the input, or the device is lost.
    pub async fn run(&self, engine: &mut Engine, images: &[impl AsRef<[f32]>]) -> Result<Vec<Vec<f32>>> {
        let wanted: usize = self.input.iter().product();
        let mut all = Vec::with_capacity(images.len());
        for chunk in images.chunks(self.batch) {
            for (place, image) in chunk.iter().map(AsRef::as_ref).enumerate() {
                if image.len() != wanted {
                    let message =
                        format!("the image has {} values, but the input of the network has {wanted}", image.len());
                    return Err(Error::Shape(message));
                }
                engine.write(&self.images, place * wanted, image)?;
            }
            // Unused rows of the batch keep earlier images. Their results are ignored.
            engine.run(self.program, 0..1)?;
            let rows = engine.read_output(self.program, self.output).await?;
            let width = rows.len() / self.batch;
            all.extend(rows.chunks_exact(width.max(1)).take(chunk.len()).map(<[f32]>::to_vec));
        }
        Ok(all)
    }
}
