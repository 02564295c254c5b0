//! What a model learns: named parameters in one flat buffer.

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

/// One named tensor that is learned.
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

/// All parameters of a model, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    list: Vec<Parameter>,
    /// The groups of the optimiser's table.
    pub groups: Vec<Group>,
    len: usize,
}

impl Default for Parameters {
    fn default() -> Self {
        let groups = vec![Group { rate: 1.0, decay: 1.0 }, Group { rate: 1.0, decay: 0.0 }];
        Self { list: Vec::new(), groups, len: 0 }
    }
}

impl Parameters {
    /// Adds one after the others.
    pub fn add(&mut self, name: impl Into<String>, shape: impl Into<Shape>, initialiser: Initialiser, group: u32) {
        let shape = shape.into();
        let offset = self.len;
        self.len = (offset + shape.elements()).next_multiple_of(BLOCK);
        self.list.push(Parameter { name: name.into(), shape, initialiser, group, offset });
    }

    /// All, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Parameter> {
        self.list.iter()
    }

    /// The one of a name.
    pub fn find(&self, name: &str) -> Option<&Parameter> {
        self.list.iter().find(|parameter| parameter.name == name)
    }

    /// How many numbers are learned.
    pub fn count(&self) -> usize {
        self.list.iter().map(|parameter| parameter.shape.elements()).sum()
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

    /// The update's table: for each block of the flat buffer its group and how many of its elements are a parameter's.
    pub fn blocks(&self) -> Vec<u32> {
        let mut table = vec![0; self.flat_len() / BLOCK];
        for parameter in &self.list {
            let range = parameter.range();
            for first in range.clone().step_by(BLOCK) {
                let elements = (range.end - first).min(BLOCK);
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

    /// A hash of all parameters' names, shapes and bits (64-bit FNV-1a, as 16 hexadecimal digits); the gaps do not count.
    pub fn hash(&self, flat: &[f32]) -> String {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut add = |bytes: &[u8]| {
            for &byte in bytes {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            }
        };
        for parameter in &self.list {
            add(parameter.name.as_bytes());
            add(parameter.shape.to_string().as_bytes());
            for value in &flat[parameter.range()] {
                add(&value.to_bits().to_le_bytes());
            }
        }
        format!("{hash:016x}")
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
        let mut flat = parameters.initial(1);
        let hash = parameters.hash(&flat);
        flat[150] = 7.0;
        assert_eq!(parameters.hash(&flat), hash);
        flat[192] = 7.0;
        assert_ne!(parameters.hash(&flat), hash);
    }
}
