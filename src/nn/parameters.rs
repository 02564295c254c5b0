//! The named tensors of a model, in two flat buffers: one for parameters, one for running statistics.

use super::initialiser::Initialiser;
use super::kind::ParameterKind;
use crate::graph::Shape;
use crate::ops::update::{BLOCK, block_entry};
use crate::{Error, Result};

/// Parameters with the same factors on learning rate and weight decay, as PyTorch's parameter groups.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParameterGroup {
    /// Factor on the learning rate; 0 freezes the parameters.
    pub rate: f32,
    /// Factor on the weight decay.
    pub decay: f32,
}

/// The group of weights. Both factors are 1.
pub const GROUP_WEIGHTS: u32 = 0;
/// The group of biases, which have no weight decay.
pub const GROUP_NO_DECAY: u32 = 1;
/// The group of frozen parameters. No gradient is computed for them.
pub const GROUP_FROZEN: u32 = 2;
/// The group of batch norms' biases. Their learning rate may differ: see
/// [`Optimizer::shift_rate`](crate::optim::Optimizer::shift_rate).
pub const GROUP_SHIFTS: u32 = 3;
/// The group of batch norms' weights, which have no weight decay.
pub const GROUP_SCALES: u32 = 4;
/// The group of a whitening layer's bias, which has no weight decay.
pub const GROUP_WHITENING_BIAS: u32 = 5;

/// How a parameter is trained when a network is fine-tuned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tuning {
    /// With the full learning rate, as in training from scratch.
    Full,
    /// With the learning rate times this factor.
    Scaled(f32),
    /// The parameter is not trained.
    Frozen,
}

/// One named tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// The name, as in PyTorch's `state_dict`: `fc1.weight`.
    pub name: String,
    /// The shape, as in PyTorch.
    pub shape: Shape,
    /// The initial values.
    pub initialiser: Initialiser,
    /// Index into [`Parameters::groups`].
    pub group: u32,
    /// Its kind, which the group and the shape tell.
    pub kind: ParameterKind,
    /// Offset in the flat buffer in elements, a multiple of 64.
    pub offset: usize,
}

impl Parameter {
    /// The range of its elements in the flat buffer.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.shape.elements()
    }
}

/// Whether a parameter belongs to a layer: its name begins with the layer's name, or is the layer's name.
pub(super) fn is_of(parameter: &str, layer: &str) -> bool {
    parameter.strip_prefix(layer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The layout of named tensors in a flat buffer. Each begins at a multiple of 64 floats, so there can be gaps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParameterLayout {
    list: Vec<Parameter>,
    len: usize,
}

impl ParameterLayout {
    /// Appends a tensor.
    fn add(&mut self, name: String, shape: Shape, initialiser: Initialiser, group: u32) {
        let offset = self.len;
        // A model with too many parameters is refused when all of them are known.
        self.len = offset.saturating_add(shape.elements()).div_ceil(BLOCK).saturating_mul(BLOCK);
        let kind = ParameterKind::of(group, shape.rank());
        self.list.push(Parameter { name, shape, initialiser, group, kind, offset });
    }

    /// All tensors, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Parameter> {
        self.list.iter()
    }

    /// Whether there are no tensors.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The tensor with this name.
    pub fn find(&self, name: &str) -> Option<&Parameter> {
        self.list.iter().find(|parameter| parameter.name == name)
    }

    /// The number of elements of all tensors.
    pub fn count(&self) -> usize {
        self.list.iter().fold(0, |sum, parameter| sum.saturating_add(parameter.shape.elements()))
    }

    /// Assigns new offsets: first to the tensors that `first` selects, then to the others, in order.
    fn place(&mut self, first: impl Fn(&Parameter) -> bool) {
        self.len = 0;
        for selected in [true, false] {
            for parameter in self.list.iter_mut().filter(|parameter| first(parameter) == selected) {
                parameter.offset = self.len;
                self.len = (self.len + parameter.shape.elements()).next_multiple_of(BLOCK);
            }
        }
    }

    /// Length of the flat buffer in elements, with the gaps; at least one block.
    pub fn flat_len(&self) -> usize {
        self.len.max(BLOCK)
    }

    /// The initial content of the flat buffer. Gaps are 0.
    pub fn initial(&self, seed: u64) -> Vec<f32> {
        let mut flat = vec![0.0; self.flat_len()];
        for (index, parameter) in (0..).zip(&self.list) {
            let values = parameter.initialiser.values(parameter.shape.elements(), seed, index);
            flat[parameter.range()].copy_from_slice(&values);
        }
        flat
    }
}

/// All parameters of a model, and its running statistics. It dereferences to the [`ParameterLayout`] of the parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    learned: ParameterLayout,
    statistics: ParameterLayout,
    /// The parameter groups.
    pub groups: Vec<ParameterGroup>,
}

impl Default for Parameters {
    fn default() -> Self {
        let groups = [(1.0, 1.0), (1.0, 0.0), (0.0, 0.0), (1.0, 0.0), (1.0, 0.0), (1.0, 0.0)];
        let groups = groups.map(|(rate, decay)| ParameterGroup { rate, decay }).to_vec();
        Self { learned: ParameterLayout::default(), statistics: ParameterLayout::default(), groups }
    }
}

impl std::ops::Deref for Parameters {
    type Target = ParameterLayout;
    fn deref(&self) -> &ParameterLayout {
        &self.learned
    }
}

/// The content of a model's flat buffers.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// The parameters' values, in the layout of [`Parameters`].
    pub learned: Vec<f32>,
    /// The running statistics, in the layout of [`Parameters::statistics`].
    pub statistics: Vec<f32>,
}

impl Weights {
    /// Whether all values are finite: none is NaN or infinite.
    pub fn are_finite(&self) -> bool {
        self.learned.iter().chain(&self.statistics).all(|value| value.is_finite())
    }

    /// All values as little-endian bytes: the parameters, then the statistics.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.learned.iter().chain(&self.statistics).flat_map(|value| value.to_le_bytes()).collect()
    }

    /// The weights from the bytes of [`Weights::to_bytes`], for a model with these parameters.
    ///
    /// # Errors
    /// [`Error::Data`] when there are more or fewer bytes than the model needs.
    pub fn from_bytes(bytes: &[u8], parameters: &Parameters) -> Result<Self> {
        let (learned, statistics) = (parameters.flat_len(), parameters.statistics().flat_len());
        // Without statistics, their buffer may be left out.
        let shortest = if parameters.statistics().is_empty() { 4 * learned } else { 4 * (learned + statistics) };
        let wanted = if bytes.len() == shortest { shortest } else { 4 * (learned + statistics) };
        if bytes.len() != wanted {
            return Err(Error::data(format!(
                "The weights have {} bytes, but the model needs {wanted}: they belong to another model.",
                bytes.len()
            )));
        }
        let mut values = bytes.chunks_exact(4).map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        Ok(Self { learned: values.by_ref().take(learned).collect(), statistics: values.collect() })
    }
}

impl Parameters {
    /// Appends a parameter.
    pub fn add(&mut self, name: impl Into<String>, shape: impl Into<Shape>, initialiser: Initialiser, group: u32) {
        self.learned.add(name.into(), shape.into(), initialiser, group);
    }

    /// Appends a running statistic (PyTorch's buffer), as a batch norm's running mean. The optimizer does not update it,
    /// and it does not count as a parameter, but it is stored with the weights.
    pub fn add_statistic(&mut self, name: impl Into<String>, shape: impl Into<Shape>, initial: f32) {
        self.statistics.add(name.into(), shape.into(), Initialiser::Constant(initial), GROUP_FROZEN);
    }

    /// The layout of the running statistics.
    pub fn statistics(&self) -> &ParameterLayout {
        &self.statistics
    }

    /// Whether a parameter is frozen.
    pub fn is_frozen(&self, parameter: &Parameter) -> bool {
        self.groups[parameter.group as usize].rate == 0.0
    }

    /// The parameters that the optimizer updates, in order.
    pub fn updated(&self) -> impl Iterator<Item = &Parameter> {
        self.learned.iter().filter(|parameter| !self.is_frozen(parameter))
    }

    /// The length of the part of the flat buffer that the optimizer updates, from its start; at least one block. The
    /// gradients and the optimizer's state have this length.
    pub fn updated_len(&self) -> usize {
        self.updated().map(|parameter| parameter.range().end.next_multiple_of(BLOCK)).max().unwrap_or(BLOCK)
    }

    /// Sets how each parameter is trained; frozen ones stay frozen. Frozen parameters then come last in the flat buffer, so
    /// that gradients and the optimizer's state need no room for them.
    pub fn tune(&mut self, how: impl Fn(&Parameter) -> Tuning) {
        let mut scaled = std::collections::BTreeMap::new();
        for index in 0..self.learned.list.len() {
            let parameter = &self.learned.list[index];
            let group = match how(parameter) {
                _ if self.is_frozen(parameter) => continue,
                Tuning::Full => continue,
                Tuning::Frozen => GROUP_FROZEN,
                Tuning::Scaled(factor) => *scaled.entry((parameter.group, factor.to_bits())).or_insert_with(|| {
                    let ParameterGroup { rate, decay } = self.groups[parameter.group as usize];
                    self.groups.push(ParameterGroup { rate: rate * factor, decay });
                    self.groups.len() as u32 - 1
                }),
            };
            self.learned.list[index].group = group;
        }
        let groups = &self.groups;
        self.learned.place(|parameter| groups[parameter.group as usize].rate != 0.0);
    }

    /// Makes the parameters that `is_of` selects those of the head.
    pub(super) fn mark_head(&mut self, is_of: impl Fn(&str) -> bool) {
        let of_head = self.learned.list.iter_mut().filter(|parameter| is_of(&parameter.name));
        of_head.for_each(|parameter| parameter.kind = ParameterKind::Head);
    }

    /// A name that two tensors share, if there is one.
    pub fn repeated(&self) -> Option<&str> {
        let mut seen = std::collections::BTreeSet::new();
        self.learned.iter().chain(self.statistics.iter()).map(|p| p.name.as_str()).find(|&name| !seen.insert(name))
    }

    /// The initial content of both buffers.
    pub fn initial_weights(&self, seed: u64) -> Weights {
        Weights { learned: self.learned.initial(seed), statistics: self.statistics.initial(seed) }
    }

    /// The factors of a parameter's group.
    pub fn group_of(&self, parameter: &Parameter) -> ParameterGroup {
        self.groups[parameter.group as usize]
    }

    /// The table of blocks for an update of several parameters. An entry holds the parameter's row in the group table, which
    /// `row` tells, and the number of elements to update. It is 0 for parameters without a row.
    pub fn blocks(&self, row: impl Fn(&Parameter) -> Option<u32>) -> Vec<u32> {
        let mut table = vec![0; self.updated_len() / BLOCK];
        for parameter in self.updated() {
            let (range, Some(row)) = (parameter.range(), row(parameter)) else { continue };
            for first in range.clone().step_by(BLOCK) {
                table[first / BLOCK] = block_entry(row, (range.end - first).min(BLOCK) as u32);
            }
        }
        table
    }

    /// A hash of the names, shapes and bits of all parameters, then of all running statistics. It is the 64-bit FNV-1a
    /// hash, as 16 hexadecimal digits. Gaps are left out.
    pub fn hash(&self, weights: &Weights) -> String {
        let mut hash = crate::hash::Fnv1a::new();
        for (layout, flat) in [(&self.learned, &weights.learned), (&self.statistics, &weights.statistics)] {
            for parameter in layout.iter() {
                hash.add(parameter.name.as_bytes());
                hash.add(parameter.shape.to_string().as_bytes());
                for value in &flat[parameter.range()] {
                    hash.add(&value.to_bits().to_le_bytes());
                }
            }
        }
        hash.hex()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_begin_at_blocks_and_the_gaps_do_not_count() {
        let mut parameters = Parameters::default();
        parameters.add("a.weight", [3, 50], Initialiser::Constant(1.0), GROUP_WEIGHTS);
        parameters.add("a.bias", [3], Initialiser::Zeros, GROUP_NO_DECAY);
        assert_eq!((parameters.count(), parameters.flat_len()), (153, 256));
        assert_eq!(parameters.blocks(|parameter| Some(parameter.group)), [64, 64, 22, 256 | 3]);
        assert_eq!(parameters.blocks(|parameter| (parameter.group == 1).then_some(0)), [0, 0, 0, 3]);
        let mut weights = parameters.initial_weights(1);
        let hash = parameters.hash(&weights);
        weights.learned[150] = 7.0;
        assert_eq!(parameters.hash(&weights), hash);
        weights.learned[192] = 7.0;
        assert_ne!(parameters.hash(&weights), hash);
    }

    #[test]
    fn running_statistics_belong_to_the_weights_but_are_no_parameters() {
        let mut parameters = Parameters::default();
        parameters.add("bn.weight", [3], Initialiser::Constant(1.0), GROUP_NO_DECAY);
        parameters.add_statistic("bn.running_mean", [3], 0.0);
        parameters.add_statistic("bn.running_var", [3], 1.0);
        assert_eq!((parameters.count(), parameters.statistics().count()), (3, 6));
        let mut weights = parameters.initial_weights(1);
        assert_eq!(weights.statistics[64..67], [1.0; 3]);
        let hash = parameters.hash(&weights);
        weights.statistics[65] = 2.0;
        assert_ne!(parameters.hash(&weights), hash);
        assert_eq!(parameters.repeated(), None);
        parameters.add("bn.running_var", [3], Initialiser::Zeros, GROUP_NO_DECAY);
        assert_eq!(parameters.repeated(), Some("bn.running_var"));
    }

    #[test]
    fn frozen_parameters_are_not_updated() {
        let mut parameters = Parameters::default();
        parameters.add("a", [70], Initialiser::Zeros, GROUP_FROZEN);
        parameters.add("b", [2], Initialiser::Zeros, GROUP_WEIGHTS);
        assert_eq!(parameters.blocks(|parameter| Some(parameter.group)), [0, 0, 2]);
    }

    #[test]
    fn frozen_parameters_come_last_and_scaled_ones_have_their_own_rate() {
        let mut parameters = Parameters::default();
        for (name, group) in [("a", GROUP_WEIGHTS), ("b", GROUP_WEIGHTS), ("c", GROUP_NO_DECAY), ("d", GROUP_WEIGHTS)] {
            parameters.add(name, [70], Initialiser::Uniform { bound: 1.0 }, group);
        }
        let before = parameters.clone();
        parameters.tune(|parameter| match parameter.name.as_str() {
            "a" => Tuning::Frozen,
            "b" | "c" => Tuning::Scaled(0.5),
            _ => Tuning::Full,
        });
        let offsets: Vec<usize> = parameters.iter().map(|parameter| parameter.offset).collect();
        assert_eq!(offsets, [384, 0, 128, 256]);
        let blocks = parameters.blocks(|parameter| Some(parameter.group));
        assert_eq!((parameters.updated_len(), blocks.len()), (384, 6));
        assert_eq!(blocks, [6 << 8 | 64, 6 << 8 | 6, 7 << 8 | 64, 7 << 8 | 6, 64, 6]);
        let scaled = |decay| ParameterGroup { rate: 0.5, decay };
        assert_eq!(parameters.groups[6..], [scaled(1.0), scaled(0.0)]);
        // Neither initial values nor the weights' hash depend on the offsets.
        assert_eq!(parameters.hash(&parameters.initial_weights(3)), before.hash(&before.initial_weights(3)));
    }
}
