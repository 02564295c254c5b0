//! Changes of colour that need the three channels of a pixel at once: saturation, hue, and grey images.

use crate::parallel::*;

use crate::Result;
use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::op::defined_by;
use crate::ops::{Call, Lower, Op, Real, Step, Types, expect_inputs};
use crate::random::unit;

use super::GREY;
use super::draw::{COLOURS, more};

/// Changes the colours of images `[batch, 3, height, width]`. They are normalised; `[3, 4]` is the table of
/// [`Augment`](super::Augment). Masked rows are 0. Values are not clamped.
#[derive(Clone, Debug, PartialEq)]
pub struct Recolour {
    /// Saturation: a factor between 1 - this and 1 + this of the distance to grey.
    pub saturation: f64,
    /// Hue: a turn of the colour circle between - this and this, of which 1 is a full turn.
    pub hue: f64,
    /// The fraction of images that become grey.
    pub grey: f64,
}

/// What is drawn for an image.
struct Drawn<T> {
    saturation: T,
    /// In sixths of a turn.
    hue: T,
    is_grey: bool,
}

impl Recolour {
    fn drawn<T: Real>(&self, step: &Step, row: u32) -> Drawn<T> {
        let [hue, grey, saturation, _] = more(step, row).block(COLOURS).map(|word| T::of(unit(word).into()));
        let around = |drawn: T, by: f64| T::of(by) * (T::of(2.0) * drawn - T::one());
        Drawn {
            saturation: T::one() + around(saturation, self.saturation),
            hue: around(hue, 6.0 * self.hue),
            is_grey: grey < T::of(self.grey),
        }
    }

    fn define<T: Real>(&self, call: &mut Call<T>) {
        let dims = call.types.output.dims();
        let plane = dims[2] * dims[3];
        let (x, table, step) = (call.real(0), call.real(1), call.step);
        call.out().par_chunks_mut(3 * plane).zip(x.par_chunks(3 * plane)).enumerate().for_each(|(row, (to, from))| {
            if row >= step.valid as usize {
                return to.fill(T::zero());
            }
            let drawn = self.drawn::<T>(step, row as u32);
            for at in 0..plane {
                let colour = [0, 1, 2].map(|c| from[c * plane + at] / table[4 * c + 1] + table[4 * c]);
                let seen = drawn.changed(colour);
                (0..3).for_each(|c| to[c * plane + at] = (seen[c] - table[4 * c]) * table[4 * c + 1]);
            }
        });
    }
}

impl<T: Real> Drawn<T> {
    /// A colour after the changes.
    fn changed(&self, colour: [T; 3]) -> [T; 3] {
        let grey = |colour: [T; 3]| (0..3).fold(T::zero(), |sum, c| sum + T::of(GREY[c]) * colour[c]);
        let mean = grey(colour);
        let turned = turned(colour.map(|value| mean + self.saturation * (value - mean)), self.hue);
        if self.is_grey { [grey(turned); 3] } else { turned }
    }
}

/// Turns a colour by `turn` sixths of the circle. Its largest and smallest value stay.
fn turned<T: Real>([red, green, blue]: [T; 3], turn: T) -> [T; 3] {
    let most = red.max(green).max(blue);
    let chroma = most - red.min(green).min(blue);
    if chroma <= T::zero() {
        return [red, green, blue];
    }
    let (two, four, six) = (T::of(2.0), T::of(4.0), T::of(6.0));
    let hue = if most == red {
        (green - blue) / chroma
    } else if most == green {
        two + (blue - red) / chroma
    } else {
        four + (red - green) / chroma
    };
    [5.0, 3.0, 1.0].map(|first| {
        let place = T::of(first) + hue + turn;
        let place = place - six * (place / six).floor();
        most - chroma * place.min(four - place).min(T::one()).max(T::zero())
    })
}

impl Op for Recolour {
    fn name(&self) -> &'static str {
        "recolour"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 2)?;
        if super::images_of_floats(&inputs[0])?[1] != 3 || inputs[1] != TensorType::f32([3, 4]) {
            return Err("the images must have three channels, and the table four floats for each".into());
        }
        Ok(inputs[0].clone())
    }
    /// Images have no gradient.
    fn gradient(&self, _: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None; at.inputs.len()])
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let dims = at.types.output.dims();
        let count = dims[0] * dims[2] * dims[3];
        let source = include_str!("../../../shaders/recolour.wgsl");
        let kernel = Kernel::built_in("recolour", source, &[at.edges(count)]);
        let floats = [self.saturation, 6.0 * self.hue, self.grey].map(|value| (value as f32).to_bits() as usize);
        let dims: Vec<usize> = [count, dims[2] * dims[3]].into_iter().chain(floats).collect();
        at.linear(self, kernel, &[Slot::Input(0), Slot::Input(1), Slot::Output], &dims, count).into()
    }
    fn flops(&self, types: &Types) -> u64 {
        15 * types.output.elements() as u64
    }
}

/// Each change alone and all together, with a partial batch.
pub fn cases() -> Vec<Case> {
    let of = |dims: [usize; 4], [saturation, hue, grey]: [f64; 3], label: &str| {
        let levels: Vec<f32> = (0..3).flat_map(|channel| [0.5, 4.0 - channel as f32, 0.5, -2.0]).collect();
        let build = move |graph: &mut Graph, x: &[NodeId]| {
            let levels = graph.constant(TensorType::f32([3, 4]), levels.clone());
            graph.apply(Recolour { saturation, hue, grey }, &[x[0], levels])
        };
        Case::new(vec![Sample::between(&dims, -2.0, 2.0)], build)
            .differentiable(&[])
            .valid(dims[0] as u32)
            .labelled(label)
    };
    vec![
        of([9, 3, 7, 5], [0.8, 0.0, 0.0], "saturation"),
        of([9, 3, 7, 5], [0.0, 0.5, 0.0], "hue"),
        of([9, 3, 6, 5], [0.0, 0.0, 0.5], "grey"),
        of([6, 3, 8, 8], [0.4, 0.1, 0.3], "all").valid(4),
        of([64, 3, 32, 32], [0.4, 0.1, 0.2], "all").timed(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Python's `colorsys`: the hue of (0.8, 0.4, 0.2) is 1/18, its saturation 0.75, its value 0.8.
    #[test]
    fn a_turn_of_hue_is_that_of_the_colour_circle() {
        let near = |a: [f64; 3], b: [f64; 3]| a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12);
        let colour = [0.8, 0.4, 0.2];
        assert!(near(turned(colour, 0.0), colour) && near(turned(colour, 6.0), colour));
        assert!(near(turned(colour, 2.0), [0.2, 0.8, 0.4]), "a third of a turn moves the channels on");
        assert!(near(turned(colour, 3.0), [0.2, 0.6, 0.8]), "{:?}", turned(colour, 3.0));
        assert!(near(turned([0.3; 3], 1.0), [0.3; 3]));
    }
}
