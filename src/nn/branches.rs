//! Parallel branches.

use super::build::Build;
use super::layer::{Child, Layer, dims};
use super::parameters::Parameters;
use super::sequence::Sequence;
use crate::Result;
use crate::graph::NodeId;

/// Runs several branches on the output of one trunk and concatenates their channels: `[branch(trunk(x)) ...]`. The names
/// of all inner layers come directly after the layer's own name, as in SqueezeNet's fire modules: `NAME.squeeze`,
/// `NAME.expand1x1`, `NAME.expand3x3`.
#[derive(Debug, Default)]
pub struct Branches {
    /// The layers before the branches. Without layers, the branches read x itself.
    pub trunk: Sequence,
    /// The branches.
    pub branches: Vec<Sequence>,
}

impl Branches {
    /// The output shape of the trunk, then that of each branch.
    fn outputs(&self, shape: &[usize]) -> Result<(Vec<usize>, Vec<Vec<usize>>), String> {
        let trunk = self.trunk.output(shape)?;
        let branches = self.branches.iter().map(|branch| branch.output(&trunk)).collect::<Result<_, _>>()?;
        Ok((trunk, branches))
    }
}

impl Layer for Branches {
    fn label(&self) -> String {
        format!("{} branches", self.branches.len())
    }

    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        let (_, outputs) = self.outputs(shape)?;
        let Some(first) = outputs.first() else { return Err("it has no branches".into()) };
        if let Some(other) = outputs.iter().find(|other| other.is_empty() || other[1..] != first[1..]) {
            return Err(format!(
                "one branch gives {} and another {}, which differ in more than their channels",
                dims(first),
                dims(other)
            ));
        }
        let channels = outputs.iter().map(|output| output[0]).sum();
        Ok(std::iter::once(channels).chain(first[1..].iter().copied()).collect())
    }

    fn declare(&self, name: &str, shape: &[usize], parameters: &mut Parameters) {
        self.trunk.declare(name, shape, parameters);
        let trunk = self.trunk.output(shape).unwrap_or_default();
        for branch in &self.branches {
            branch.declare(name, &trunk, parameters);
        }
    }

    fn forward(&self, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId> {
        let trunk = self.trunk.forward(build, name, x)?;
        let branches: Vec<NodeId> =
            self.branches.iter().map(|branch| branch.forward(build, name, trunk)).collect::<Result<_>>()?;
        build.concat(&branches, 1)
    }

    fn children(&self, shape: &[usize]) -> Vec<Child<'_>> {
        let trunk = self.trunk.output(shape).unwrap_or_default();
        let branches = self.branches.iter().map(|branch| branch.child("", &trunk));
        std::iter::once(self.trunk.child("", shape)).chain(branches).collect()
    }
}
