//! The nodes of an optimizer's update.

use std::ops::Range;

use super::groups::{self, OptimizerGroup};
use super::method::Method;
use super::optimizer::{MOMENTUM, Optimizer, SUMS};
use crate::graph::{NodeId, TensorType};
use crate::nn::{Build, PARAMS, Parameter, ParameterKind, Parameters};
use crate::ops::accumulate_gradient::AccumulateGradient;
use crate::ops::lamb::Lamb;
use crate::ops::muon::{Muon, MuonMomentum};
use crate::ops::pack::Pack;
use crate::ops::rmsprop::RmsProp;
use crate::ops::update::{Adam, BLOCK, GROUP_FLOATS, Sgd, group_row};
use crate::{Error, Result};

/// The persistent buffer of the update's block table.
const BLOCKS: &str = "update.blocks";

impl Optimizer {
    /// The persistent buffers of u32 that must be written once before training, besides the parameters. None if Muon trains
    /// all parameters.
    pub fn tables(&self, parameters: &Parameters) -> Vec<(&'static str, Vec<u32>)> {
        let rows = self.rows(parameters);
        let place = |row: [f32; GROUP_FLOATS]| rows.iter().position(|other| *other == row).map(|place| place as u32);
        let table = parameters.blocks(|parameter| self.row(parameters, parameter).and_then(place));
        if rows.is_empty() { Vec::new() } else { vec![(BLOCKS, table)] }
    }

    /// The rows of the group table: those of all parameters, each once.
    fn rows(&self, parameters: &Parameters) -> Vec<[f32; GROUP_FLOATS]> {
        let mut rows = Vec::new();
        for row in parameters.updated().filter_map(|parameter| self.row(parameters, parameter)) {
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
        rows
    }

    /// A parameter's row of the group table. `None` if Muon trains it.
    fn row(&self, parameters: &Parameters, parameter: &Parameter) -> Option<[f32; GROUP_FLOATS]> {
        let (index, group) = groups::of(&self.groups, parameter);
        if group.is_some_and(OptimizerGroup::is_muon) {
            return None;
        }
        let factors = parameters.group_of(parameter);
        let usual = self.weight_decay as f32;
        let decay = group.and_then(|group| group.weight_decay).map_or(usual * factors.decay, |decay| decay as f32);
        let mut row = match self.shift_rate {
            Some(factor) if parameter.kind == ParameterKind::Shifts => {
                group_row(factors.rate * factor as f32, usual * (1.0 / factor) as f32, index)
            }
            _ => group_row(factors.rate, decay, index),
        };
        // Biases and the parameters of norms, which have no weight decay, do not adapt.
        row[3] = f32::from(self.name == Method::Lamb && factors.decay > 0.0);
        Some(row)
    }

    /// The first block and the number of blocks of each parameter that the optimizer's own algorithm trains.
    fn spans(&self, parameters: &Parameters) -> Vec<f32> {
        let own = parameters.updated().filter(|parameter| self.row(parameters, parameter).is_some());
        let blocks = |parameter: &Parameter| [parameter.offset / BLOCK, parameter.shape.elements().div_ceil(BLOCK)];
        own.flat_map(blocks).map(|block| block as f32).collect()
    }

    /// Builds the update of all parameters from the gradient of `loss`. If the batch is computed `in_parts`, the gradients of its parts
    /// are summed, and the update takes place with the last one.
    ///
    /// # Errors
    /// When the loss is not a scalar, does not depend on a parameter, or no parameter is trained.
    pub fn update(&self, build: &mut Build, loss: NodeId, in_parts: bool) -> Result<()> {
        let gradients = self.gradients(build, loss, in_parts)?;
        self.update_by(build, gradients)
    }

    /// Builds the sums of the gradient of `loss` over the parts of a batch, in the buffers [`Optimizer::sums`], without an update.
    ///
    /// # Errors
    /// As [`Optimizer::update`].
    pub fn sum_gradients(&self, build: &mut Build, loss: NodeId) -> Result<()> {
        self.gradients(build, loss, true).map(|_| ())
    }

    /// Builds the update of all parameters from the sums that the buffers [`Optimizer::sums`] hold.
    ///
    /// # Errors
    /// When no parameter is trained.
    pub fn update_from_sums(&self, build: &mut Build) -> Result<()> {
        let learned: Vec<&Parameter> = build.learned()?.into_iter().map(|(parameter, _)| parameter).collect();
        self.declare_states(build, true)?;
        let len = build.parameters().updated_len();
        let mut gradients = Gradients::default();
        for parameter in learned {
            match groups::of(&self.groups, parameter) {
                (index, Some(group)) if group.is_muon() => {
                    let sum = build.leaf(SUMS[1], parameter.offset, matrix(parameter))?;
                    gradients.of_muon.push((index, group, parameter, sum));
                }
                _ if gradients.own.is_none() => gradients.own = Some(build.leaf(SUMS[0], 0, TensorType::f32([len]))?),
                _ => {}
            }
        }
        self.update_by(build, gradients)
    }

    /// The persistent buffers of the sums of gradients over the parts of a batch, each with the ranges of its parameters in the flat
    /// layout, which the buffers have in common.
    pub fn sums(&self, parameters: &Parameters) -> Vec<(&'static str, Vec<Range<usize>>)> {
        let ranges = |of_muon: bool| {
            let belongs = move |parameter: &&Parameter| self.row(parameters, parameter).is_none() == of_muon;
            let range = |parameter: &Parameter| parameter.offset..parameter.offset + parameter.shape.elements();
            parameters.updated().filter(belongs).map(range).collect()
        };
        SUMS.into_iter()
            .zip([ranges(false), ranges(true)])
            .filter(|(_, ranges): &(_, Vec<_>)| !ranges.is_empty())
            .collect()
    }

    /// Declares the whole buffers of the state: Muon's nodes use parts of them, also where nothing else declares their length.
    fn declare_states(&self, build: &mut Build, in_parts: bool) -> Result<()> {
        let len = build.parameters().updated_len();
        self.states(in_parts).into_iter().try_for_each(|state| build.leaf(state, 0, TensorType::f32([len])).map(|_| ()))
    }

    /// Builds the gradients of all parameters, or `in_parts` their sums over the parts of a batch.
    fn gradients<'a, 'p: 'a>(&'a self, build: &mut Build<'p>, loss: NodeId, in_parts: bool) -> Result<Gradients<'a>> {
        let (learned, leaves): (Vec<_>, Vec<_>) = build.learned()?.into_iter().unzip();
        if learned.is_empty() {
            return Err(Error::usage("The model cannot be trained: it has no parameters, or all are frozen."));
        }
        let gradients = build.gradient(loss, &leaves)?;
        self.declare_states(build, in_parts)?;
        let len = build.parameters().updated_len();
        let (mut own, mut found) = (Vec::new(), Gradients::default());
        for (parameter, gradient) in learned.into_iter().zip(gradients) {
            match groups::of(&self.groups, parameter) {
                (index, Some(group)) if group.is_muon() => found.of_muon.push((index, group, parameter, gradient)),
                _ => own.push((parameter.offset, gradient)),
            }
        }
        if !own.is_empty() {
            let (offsets, gradients): (_, Vec<NodeId>) = own.into_iter().unzip();
            build.enter("update");
            let mut flat = build.apply(Pack { offsets, len }, &gradients)?;
            if in_parts {
                let sum = build.leaf(SUMS[0], 0, TensorType::f32([len]))?;
                flat = build.update(AccumulateGradient, &[flat], &[sum])?;
            }
            build.leave();
            found.own = Some(flat);
        }
        for (_, _, parameter, gradient) in &mut found.of_muon {
            build.enter(&format!("muon/{}", parameter.name));
            let ty = matrix(parameter);
            *gradient = build.reshape(*gradient, ty.shape.clone())?;
            if in_parts {
                let sum = build.leaf(SUMS[1], parameter.offset, ty)?;
                *gradient = build.update(AccumulateGradient, &[*gradient], &[sum])?;
            }
            build.leave();
        }
        Ok(found)
    }

    /// Builds the update of all parameters from their gradients.
    fn update_by(&self, build: &mut Build, gradients: Gradients) -> Result<()> {
        if let Some(flat) = gradients.own {
            build.enter("update");
            let built = self.update_own(build, flat);
            build.leave();
            built?;
        }
        for (index, group, parameter, gradient) in gradients.of_muon {
            build.enter(&format!("muon/{}", parameter.name));
            let built = update_by_muon(build, (index, group), parameter, gradient);
            build.leave();
            built?;
        }
        Ok(())
    }

    /// Builds one update of all parameters that the optimizer's own algorithm trains, from their gradients in the flat layout.
    fn update_own(&self, build: &mut Build, flat: NodeId) -> Result<()> {
        let parameters = build.parameters();
        let len = parameters.updated_len();
        let blocks = build.leaf(BLOCKS, 0, TensorType::u32([len / BLOCK]))?;
        let rows = self.rows(parameters).concat();
        let groups = build.constant(TensorType::f32([rows.len()]), rows);
        let mut inputs = vec![flat, blocks, groups];
        if self.clip.is_some() {
            inputs.push(build.norm(flat, blocks)?);
        }
        let mut states = vec![build.updated()?];
        for name in self.own_states() {
            states.push(build.leaf(*name, 0, TensorType::f32([len]))?);
        }
        let clip = self.clip.map(|clip| clip as f32);
        match self.name {
            Method::Sgd => {
                let op = Sgd { momentum: self.has_velocity(), nesterov: self.nesterov, clip };
                build.update(op, &inputs, &states)?;
            }
            Method::Adam | Method::AdamW => {
                let (beta2, epsilon) = (self.beta2 as f32, self.epsilon as f32);
                let decoupled = self.name == Method::AdamW;
                build.update(Adam { beta2, epsilon, decoupled, clip }, &inputs, &states)?;
            }
            Method::Lamb => {
                let spans = self.spans(build.parameters());
                let spans = build.constant(TensorType::f32([spans.len() / 2, 2]), spans);
                inputs.insert(3, spans);
                let (beta2, epsilon) = (self.beta2 as f32, self.epsilon as f32);
                build.update(Lamb { beta2, epsilon, clip }, &inputs, &states)?;
            }
            Method::RmsProp => {
                let (alpha, epsilon) = (self.alpha as f32, self.epsilon as f32);
                build.update(RmsProp { alpha, epsilon, momentum: self.has_velocity(), clip }, &inputs, &states)?;
            }
        }
        Ok(())
    }
}

/// The gradients of the parameters in a graph.
#[derive(Default)]
struct Gradients<'a> {
    /// Those of the parameters that the optimizer's own algorithm trains, in the flat layout.
    own: Option<NodeId>,
    /// Those of the parameters that Muon trains, each as a matrix, with the index of its group.
    of_muon: Vec<(usize, &'a OptimizerGroup, &'a Parameter, NodeId)>,
}

/// A parameter `[outputs, ...]` as Muon sees it: a matrix with a row for each output.
fn matrix(parameter: &Parameter) -> TensorType {
    let (rows, elements) = (parameter.shape.dims()[0], parameter.shape.elements());
    TensorType::f32([rows, elements / rows])
}

/// Builds Muon's update of one parameter.
fn update_by_muon(
    build: &mut Build,
    (index, group): (usize, &OptimizerGroup),
    parameter: &Parameter,
    gradient: NodeId,
) -> Result<()> {
    let ty = matrix(parameter);
    let velocity = build.leaf(MOMENTUM, parameter.offset, ty.clone())?;
    let direction = build.update(MuonMomentum { group: index }, &[gradient], &[velocity])?;
    let direction = build.orthogonalised(direction, group.iterations())?;
    let weight = build.leaf(PARAMS, parameter.offset, ty)?;
    let squares = build.sum_of_squares(weight)?;
    let factor = build.parameters().group_of(parameter).rate;
    let op = Muon { group: index, factor, norm: (parameter.shape.dims()[0] as f32).sqrt() };
    build.update(op, &[direction, squares], &[weight])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::schedule::TrainingProgress;
    use super::*;
    use crate::nn::{GROUP_NO_DECAY, GROUP_SHIFTS, GROUP_WEIGHTS, Initialiser};
    use crate::ops::Step;

    #[test]
    fn biases_of_batch_norms_have_their_own_rate_and_then_decay_as_weights() {
        let parameters = three();
        let usual = Optimizer { weight_decay: 0.5, ..Optimizer::sgd(0.1) };
        assert_eq!(usual.rows(&parameters), [group_row(1.0, 0.5, 0), group_row(1.0, 0.0, 0)]);
        assert_eq!(usual.tables(&parameters)[0].1, [36, 256 | 2, 256 | 2]);
        let own = Optimizer { shift_rate: Some(64.0), ..usual.clone() };
        let shifts = group_row(64.0, 0.5 / 64.0, 0);
        assert_eq!(own.rows(&parameters), [usual.rows(&parameters), vec![shifts]].concat());
        assert_eq!(own.tables(&parameters)[0].1, [36, 256 | 2, 512 | 2]);
    }

    /// A filter, a bias and a batch norm's bias.
    fn three() -> Parameters {
        let mut parameters = Parameters::default();
        parameters.add("weight", [2, 2, 3, 3], Initialiser::Zeros, GROUP_WEIGHTS);
        parameters.add("bias", [2], Initialiser::Zeros, GROUP_NO_DECAY);
        parameters.add("bn.bias", [2], Initialiser::Zeros, GROUP_SHIFTS);
        parameters
    }

    #[test]
    fn groups_have_rows_and_numbers_of_their_own_and_muon_none() {
        let shifts = OptimizerGroup {
            learning_rate: Some(0.3),
            weight_decay: Some(0.25),
            ..OptimizerGroup::of(ParameterKind::Shifts)
        };
        let groups = vec![OptimizerGroup::muon(ParameterKind::Filters, 0.24, 0.6), shifts];
        let optimizer = Optimizer { groups, ..Optimizer::sgd_momentum(0.1, 0.85) };
        assert!(optimizer.validate().is_ok());
        let parameters = three();
        assert_eq!(optimizer.rows(&parameters), [group_row(1.0, 0.0, 0), group_row(1.0, 0.25, 2)]);
        assert_eq!(optimizer.tables(&parameters)[0].1, [0, 2, 256 | 2]);
        let mut step = Step::new(0, 8, 1);
        let at = TrainingProgress { epoch: 0, step: 5, steps: 10, epochs: 1.0 };
        optimizer.fill(&mut step, &"linear".parse().expect("a schedule"), at);
        let numbers = step.groups.map(|group| (group.rate, group.momentum));
        assert_eq!(numbers[..3], [(0.05, 0.85), (0.12, 0.6), (0.15, 0.85)]);
    }

    #[test]
    fn lamb_adapts_to_the_norms_of_weights_and_knows_where_they_are() {
        let (lamb, parameters) = (Optimizer { weight_decay: 0.0, ..Optimizer::lamb(0.1) }, three());
        assert_eq!(lamb.rows(&parameters).iter().map(|row| row[3]).collect::<Vec<_>>(), [1.0, 0.0]);
        let groups = vec![OptimizerGroup::muon(ParameterKind::Filters, 0.24, 0.6)];
        assert_eq!(lamb.spans(&parameters), [0.0, 1.0, 1.0, 1.0, 2.0, 1.0]);
        assert_eq!(Optimizer { groups, ..lamb }.spans(&parameters), [1.0, 1.0, 2.0, 1.0]);
    }
}
