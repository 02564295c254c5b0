//! The graph that layers add their nodes to, with the model's parameters as leaves.

use super::parameters::{Parameter, Parameters, is_of};
use crate::graph::{Graph, NodeId, NodeSource, TensorType};
use crate::ops::accumulate_gradient::AccumulateGradient;
use crate::ops::batch_norm::{BatchNormed, UpdateRunning};
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

/// The name of the flat buffer of a batch's own statistics, in the layout of [`STATISTICS`], in graphs with [`Running::Later`].
pub const BATCH_STATISTICS: &str = "statistics.batch";

/// What batch norm does with the statistics of a batch in training mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Running {
    /// The running statistics move towards them.
    #[default]
    Move,
    /// The running statistics are replaced by them.
    Replace,
    /// They are kept in [`BATCH_STATISTICS`] for a later update of the running statistics: see [`Build::later`].
    Later,
}

/// An update of a part of the running statistics that another graph makes.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningUpdate {
    /// Where the part begins in the flat buffers.
    pub offset: usize,
    /// Its number of values.
    pub len: usize,
    /// The update.
    pub op: UpdateRunning,
}

/// A graph under construction. It dereferences to its [`Graph`].
#[derive(Debug)]
pub struct Build<'a> {
    /// The graph so far.
    pub graph: Graph,
    /// The mode of the graph.
    pub mode: Mode,
    /// What batch norm does with the statistics of a batch.
    pub running: Running,
    /// Whether batch norm's statistics in training mode are those of all ranks of a training, instead of this one's rows.
    pub sync_batch_norm: bool,
    /// The updates of running statistics that are left to another graph.
    pub later: Vec<RunningUpdate>,
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
        Ok(Self {
            graph,
            mode,
            running: Running::Move,
            sync_batch_norm: false,
            later: Vec::new(),
            params,
            parameters,
            leaves,
            dropouts: 0,
        })
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

    /// Batch norm in training mode, by the statistics of the batch, over all ranks if [`Build::sync_batch_norm`] is set.
    ///
    /// # Errors
    /// As [`Graph::batch_norm`].
    pub fn batch_norm(&mut self, x: NodeId, gamma: NodeId, beta: NodeId, epsilon: f32) -> Result<BatchNormed> {
        match self.sync_batch_norm {
            true => self.graph.batch_norm_across_ranks(x, gamma, beta, epsilon),
            false => self.graph.batch_norm(x, gamma, beta, epsilon),
        }
    }

    /// Uses the statistics of a normalised batch as [`Build::running`] says. `running` are the leaves of the running mean and
    /// variance, and `momentum` is the layer's weight of a batch.
    ///
    /// # Errors
    /// When the leaves have another shape.
    pub fn note_statistics(&mut self, normed: BatchNormed, running: [NodeId; 2], momentum: f32) -> Result<()> {
        let [mean, variance] = running;
        match self.running {
            Running::Move => self.update_running(normed.mean, normed.variance, mean, variance, momentum),
            Running::Replace => self.update_running(normed.mean, normed.variance, mean, variance, 1.0),
            Running::Later => {
                let updates = self.running_updates(normed.variance, momentum)?;
                for ((value, leaf), op) in [normed.mean, normed.variance].into_iter().zip(running).zip(updates) {
                    let NodeSource::Leaf { offset, .. } = self.node(leaf).source else {
                        let name = &self.node(leaf).name;
                        return Err(Error::Shape(format!("the running statistic '{name}' is not in a buffer")));
                    };
                    let ty = self.ty(value).clone();
                    self.later.push(RunningUpdate { offset, len: ty.elements(), op });
                    let kept = self.leaf(BATCH_STATISTICS, offset, ty)?;
                    self.update(AccumulateGradient, &[value], &[kept])?;
                }
                Ok(())
            }
        }
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
