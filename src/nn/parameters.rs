//! What a model keeps: named tensors in flat buffers, one for what it learns and one for what it only measures.

use super::initialiser::Initialiser;
use crate::graph::Shape;
use crate::ops::update::{BLOCK, GROUP_FLOATS, block_entry};

/// What distinguishes the updates of parameters of one optimiser.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    /// Times the learning rate; 0 freezes.
    pub rate: f32,
    /// Times the weight decay.
    pub decay: f32,
}

/// The group of weights: both factors 1.
pub const GROUP_WEIGHTS: u32 = 0;
/// The group of biases and the like, which weight decay spares.
pub const GROUP_SPARED: u32 = 1;
/// The group of what stays as it begins: no gradient is computed for it.
pub const GROUP_FROZEN: u32 = 2;

/// The group of batch norms' shifts, which may have a rate of their own: [`crate::optim::Optimiser::shift_rate`].
pub const GROUP_SHIFTS: u32 = 3;

/// How a parameter learns in a network that begins with another's weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tuning {
    /// As in a network that begins anew.
    Full,
    /// With a learning rate this many times its own.
    Times(f32),
    /// Not at all.
    Frozen,
}

/// One named tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// As PyTorch would name it: `fc1.weight`.
    pub name: String,
    /// Its axis sizes, as PyTorch keeps them.
    pub shape: Shape,
    /// How it begins.
    pub initialiser: Initialiser,
    /// Index into [`Parameters::groups`].
    pub group: u32,
    /// Elements from the start of the flat buffer, a multiple of 64.
    pub offset: usize,
}

impl Parameter {
    /// Where it stands in the flat buffer.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.shape.elements()
    }
}

/// Named tensors one after another in a flat buffer, with gaps so that each begins at a multiple of 64 floats.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParameterLayout {
    list: Vec<Parameter>,
    len: usize,
}

impl ParameterLayout {
    /// Adds one after the others.
    fn add(&mut self, name: String, shape: Shape, initialiser: Initialiser, group: u32) {
        let offset = self.len;
        self.len = (offset + shape.elements()).next_multiple_of(BLOCK);
        self.list.push(Parameter { name, shape, initialiser, group, offset });
    }

    /// All, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Parameter> {
        self.list.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The one of a name.
    pub fn find(&self, name: &str) -> Option<&Parameter> {
        self.list.iter().find(|parameter| parameter.name == name)
    }

    /// How many numbers they are.
    pub fn count(&self) -> usize {
        self.list.iter().map(|parameter| parameter.shape.elements()).sum()
    }

    /// Gives the places anew: first to those that `first` names, then to the others, each in order.
    fn place(&mut self, first: impl Fn(&Parameter) -> bool) {
        self.len = 0;
        for turn in [true, false] {
            for parameter in self.list.iter_mut().filter(|parameter| first(parameter) == turn) {
                parameter.offset = self.len;
                self.len = (self.len + parameter.shape.elements()).next_multiple_of(BLOCK);
            }
        }
    }

    /// Length of the flat buffer in elements, gaps included; at least one block.
    pub fn flat_len(&self) -> usize {
        self.len.max(BLOCK)
    }

    /// The initial content of the flat buffer; the gaps are 0.
    pub fn initial(&self, seed: u64) -> Vec<f32> {
        let mut flat = vec![0.0; self.flat_len()];
        for (index, parameter) in (0..).zip(&self.list) {
            let values = parameter.initialiser.values(parameter.shape.elements(), seed, index);
            flat[parameter.range()].copy_from_slice(&values);
        }
        flat
    }
}

/// All parameters of a model: what it learns, as whose [`ParameterLayout`] it is used, and its [`Parameters::statistics`].
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    learned: ParameterLayout,
    statistics: ParameterLayout,
    /// The groups of the optimiser's table.
    pub groups: Vec<Group>,
}

impl Default for Parameters {
    fn default() -> Self {
        let group = |rate, decay| Group { rate, decay };
        let groups = vec![group(1.0, 1.0), group(1.0, 0.0), group(0.0, 0.0), group(1.0, 0.0)];
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
    /// What is learned, laid out as [`Parameters`].
    pub learned: Vec<f32>,
    /// What is measured, laid out as [`Parameters::statistics`].
    pub statistics: Vec<f32>,
}

impl Weights {
    /// Whether all are numbers to compute with: none is NaN or infinite.
    pub fn are_finite(&self) -> bool {
        self.learned.iter().chain(&self.statistics).all(|value| value.is_finite())
    }
}

impl Parameters {
    /// Adds one that is learned after the others.
    pub fn add(&mut self, name: impl Into<String>, shape: impl Into<Shape>, initialiser: Initialiser, group: u32) {
        self.learned.add(name.into(), shape.into(), initialiser, group);
    }

    /// Adds one that training measures instead of learning, as running means and variances: no optimiser changes it,
    /// and it counts as no parameter, but it belongs to the weights.
    pub fn add_statistic(&mut self, name: impl Into<String>, shape: impl Into<Shape>, initial: f32) {
        self.statistics.add(name.into(), shape.into(), Initialiser::Constant(initial), GROUP_FROZEN);
    }

    /// What is measured.
    pub fn statistics(&self) -> &ParameterLayout {
        &self.statistics
    }

    /// Whether it stays as it begins.
    pub fn is_frozen(&self, parameter: &Parameter) -> bool {
        self.groups[parameter.group as usize].rate == 0.0
    }

    /// Those that an optimiser changes, in order.
    pub fn updated(&self) -> impl Iterator<Item = &Parameter> {
        self.learned.iter().filter(|parameter| !self.is_frozen(parameter))
    }

    /// How much of the flat buffer an optimiser changes, from its start: the length of gradients and of its state. At least
    /// one block.
    pub fn updated_len(&self) -> usize {
        self.updated().map(|parameter| parameter.range().end.next_multiple_of(BLOCK)).max().unwrap_or(BLOCK)
    }

    /// Says anew how those learn that are learned at all, and puts what is frozen behind all else in the flat buffer, so that
    /// gradients and the optimiser's state end before it.
    pub fn tune(&mut self, how: impl Fn(&Parameter) -> Tuning) {
        let mut lowered = std::collections::BTreeMap::new();
        for index in 0..self.learned.list.len() {
            let parameter = &self.learned.list[index];
            let group = match how(parameter) {
                _ if self.is_frozen(parameter) => continue,
                Tuning::Full => continue,
                Tuning::Frozen => GROUP_FROZEN,
                Tuning::Times(factor) => *lowered.entry(parameter.group).or_insert_with(|| {
                    let Group { rate, decay } = self.groups[parameter.group as usize];
                    self.groups.push(Group { rate: rate * factor, decay });
                    self.groups.len() as u32 - 1
                }),
            };
            self.learned.list[index].group = group;
        }
        let groups = &self.groups;
        self.learned.place(|parameter| groups[parameter.group as usize].rate != 0.0);
    }

    /// A name that two of them have.
    pub fn repeated(&self) -> Option<&str> {
        let mut seen = std::collections::BTreeSet::new();
        self.learned.iter().chain(self.statistics.iter()).map(|p| p.name.as_str()).find(|&name| !seen.insert(name))
    }

    /// The initial content of both buffers.
    pub fn initial_weights(&self, seed: u64) -> Weights {
        Weights { learned: self.learned.initial(seed), statistics: self.statistics.initial(seed) }
    }

    /// The update's table: for each block of what is updated its group and how many of its elements are a parameter's to
    /// be updated: none of a frozen one's.
    pub fn blocks(&self) -> Vec<u32> {
        let end = self.updated_len();
        let mut table = vec![0; end / BLOCK];
        for parameter in self.learned.iter().filter(|parameter| parameter.offset < end) {
            let range = parameter.range();
            for first in range.clone().step_by(BLOCK) {
                let elements = if self.is_frozen(parameter) { 0 } else { (range.end - first).min(BLOCK) };
                table[first / BLOCK] = block_entry(parameter.group, elements as u32);
            }
        }
        table
    }

    /// The groups' factors, [`GROUP_FLOATS`] each.
    pub fn group_factors(&self) -> Vec<f32> {
        let factors: Vec<[f32; GROUP_FLOATS]> = self.groups.iter().map(|group| [group.rate, group.decay]).collect();
        factors.concat()
    }

    /// A hash of all names, shapes and bits, of what is learned and then of what is measured (64-bit FNV-1a, as 16
    /// hexadecimal digits); the gaps do not count.
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
        parameters.add("a.bias", [3], Initialiser::Zeros, GROUP_SPARED);
        assert_eq!((parameters.count(), parameters.flat_len()), (153, 256));
        assert_eq!(parameters.blocks(), [64, 64, 22, 256 | 3]);
        let mut weights = parameters.initial_weights(1);
        let hash = parameters.hash(&weights);
        weights.learned[150] = 7.0;
        assert_eq!(parameters.hash(&weights), hash);
        weights.learned[192] = 7.0;
        assert_ne!(parameters.hash(&weights), hash);
    }

    #[test]
    fn statistics_belong_to_the_weights_but_are_no_parameters() {
        let mut parameters = Parameters::default();
        parameters.add("bn.weight", [3], Initialiser::Constant(1.0), GROUP_SPARED);
        parameters.add_statistic("bn.running_mean", [3], 0.0);
        parameters.add_statistic("bn.running_var", [3], 1.0);
        assert_eq!((parameters.count(), parameters.statistics().count()), (3, 6));
        let mut weights = parameters.initial_weights(1);
        assert_eq!(weights.statistics[64..67], [1.0; 3]);
        let hash = parameters.hash(&weights);
        weights.statistics[65] = 2.0;
        assert_ne!(parameters.hash(&weights), hash);
        assert_eq!(parameters.repeated(), None);
        parameters.add("bn.running_var", [3], Initialiser::Zeros, GROUP_SPARED);
        assert_eq!(parameters.repeated(), Some("bn.running_var"));
    }

    #[test]
    fn what_is_frozen_is_not_updated() {
        let mut parameters = Parameters::default();
        parameters.add("a", [70], Initialiser::Zeros, GROUP_FROZEN);
        parameters.add("b", [2], Initialiser::Zeros, GROUP_WEIGHTS);
        assert_eq!(parameters.blocks(), [512, 512, 2]);
    }

    #[test]
    fn what_is_frozen_lies_behind_and_what_is_tuned_has_a_rate() {
        let mut parameters = Parameters::default();
        for (name, group) in [("a", GROUP_WEIGHTS), ("b", GROUP_WEIGHTS), ("c", GROUP_SPARED), ("d", GROUP_WEIGHTS)] {
            parameters.add(name, [70], Initialiser::Uniform { bound: 1.0 }, group);
        }
        let before = parameters.clone();
        parameters.tune(|parameter| match parameter.name.as_str() {
            "a" => Tuning::Frozen,
            "b" | "c" => Tuning::Times(0.5),
            _ => Tuning::Full,
        });
        let offsets: Vec<usize> = parameters.iter().map(|parameter| parameter.offset).collect();
        assert_eq!(offsets, [384, 0, 128, 256]);
        assert_eq!((parameters.updated_len(), parameters.blocks().len()), (384, 6));
        assert_eq!(parameters.blocks(), [4 << 8 | 64, 4 << 8 | 6, 5 << 8 | 64, 5 << 8 | 6, 64, 6]);
        assert_eq!(parameters.group_factors()[8..], [0.5, 1.0, 0.5, 0.0]);
        // What a parameter begins as and what the weights' hash is do not depend on where it lies.
        assert_eq!(parameters.hash(&parameters.initial_weights(3)), before.hash(&before.initial_weights(3)));
    }
}
