//! The graph that layers add their nodes to, with the model's parameters as leaves.

use super::parameters::{Parameter, Parameters, is_of};
use crate::graph::{Graph, NodeId, TensorType};
use crate::{Error, Result};

/// The name of the flat buffer of all parameters.
pub const PARAMS: &str = "params";
/// The name of the flat buffer of all running statistics (PyTorch's buffers), in models that have some.
pub const STATISTICS: &str = "statistics";

/// The mode of a graph, as PyTorch's `train()` and `eval()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Dropout is active, and batch norm uses the batch's statistics.
    Training,
    /// Dropout does nothing, and batch norm uses the running statistics.
    Evaluation,
}

/// A graph under construction. It dereferences to its [`Graph`].
#[derive(Debug)]
pub struct Build<'a> {
    /// The graph so far.
    pub graph: Graph,
    /// The mode of the graph.
    pub mode: Mode,
    /// The weight of a batch in the running statistics of batch norm, instead of the layers' own.
    pub running_momentum: Option<f32>,
    /// The flat buffer of all parameters, as one tensor.
    pub params: NodeId,
    parameters: &'a Parameters,
    leaves: Vec<Option<NodeId>>,
    dropouts: u32,
}

impl<'a> Build<'a> {
    /// An empty graph for a model with these parameters.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn new(parameters: &'a Parameters, mode: Mode) -> Result<Self> {
        let mut graph = Graph::new();
        // The whole buffer comes first, so that every graph declares it with the same length.
        let params = graph.leaf(PARAMS, 0, TensorType::f32([parameters.flat_len()]))?;
        if !parameters.statistics().is_empty() {
            graph.leaf(STATISTICS, 0, TensorType::f32([parameters.statistics().flat_len()]))?;
        }
        let leaves = vec![None; parameters.iter().len()];
        Ok(Self { graph, mode, running_momentum: None, params, parameters, leaves, dropouts: 0 })
    }

    /// The leaf of a parameter. Repeated calls return the same node.
    ///
    /// # Errors
    /// When the model has no parameter with that name.
    pub fn parameter(&mut self, name: &str) -> Result<NodeId> {
        let index = self.parameters.iter().position(|parameter| parameter.name == name);
        let index = index.ok_or_else(|| Error::usage(format!("the model has no parameter '{name}'")))?;
        self.parameter_at(index)
    }

    fn parameter_at(&mut self, index: usize) -> Result<NodeId> {
        if let Some(leaf) = self.leaves[index] {
            return Ok(leaf);
        }
        let parameters = self.parameters;
        let Some(parameter) = parameters.iter().nth(index) else {
            return Err(Error::usage(format!("the model has no parameter number {index}")));
        };
        let leaf = self.graph.leaf(PARAMS, parameter.offset, TensorType::f32(parameter.shape.clone()))?;
        self.leaves[index] = Some(leaf);
        Ok(leaf)
    }

    /// Whether a parameter is frozen.
    pub fn is_frozen(&self, name: &str) -> bool {
        self.parameters.find(name).is_some_and(|parameter| self.parameters.is_frozen(parameter))
    }

    /// Whether a parameter of this layer, or of one inside it, is trained.
    pub fn learns(&self, layer: &str) -> bool {
        self.parameters.updated().any(|parameter| is_of(&parameter.name, layer))
    }

    /// The part of the flat buffer that the optimizer updates.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn updated(&mut self) -> Result<NodeId> {
        match self.parameters.updated_len() {
            len if len == self.parameters.flat_len() => Ok(self.params),
            len => self.graph.leaf(PARAMS, 0, TensorType::f32([len])),
        }
    }

    /// The parameters that are not frozen, each with its leaf, in order.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn learned(&mut self) -> Result<Vec<(&'a Parameter, NodeId)>> {
        let parameters = self.parameters;
        let learned = parameters.iter().enumerate().filter(|(_, parameter)| !parameters.is_frozen(parameter));
        learned.map(|(index, parameter)| Ok((parameter, self.parameter_at(index)?))).collect()
    }

    /// The leaf of a running statistic.
    ///
    /// # Errors
    /// When the model has no running statistic with that name.
    pub fn statistic(&mut self, name: &str) -> Result<NodeId> {
        let statistic = self.parameters.statistics().find(name);
        let statistic = statistic.ok_or_else(|| Error::usage(format!("the model has no statistic '{name}'")))?;
        self.graph.leaf(STATISTICS, statistic.offset, TensorType::f32(statistic.shape.clone()))
    }

    /// The model's parameters.
    pub fn parameters(&self) -> &'a Parameters {
        self.parameters
    }

    /// A number for the next dropout layer. Each layer gets its own, so that their masks differ.
    pub fn next_dropout(&mut self) -> u32 {
        self.dropouts += 1;
        self.dropouts - 1
    }
}

impl std::ops::Deref for Build<'_> {
    type Target = Graph;
    fn deref(&self) -> &Graph {
        &self.graph
    }
}

impl std::ops::DerefMut for Build<'_> {
    fn deref_mut(&mut self) -> &mut Graph {
        &mut self.graph
    }
}
