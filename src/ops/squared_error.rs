//! Squared error of each row, summed or averaged over its columns. It is built from other ops, which the passes fuse.

use crate::Result;
use crate::graph::{Graph, NodeId};
use crate::ops::case::{Case, Sample};

impl Graph {
    /// The sum of squared differences of each row of `[rows, columns]`, as `[rows]`.
    ///
    /// # Errors
    /// When the shapes differ or do not have two axes.
    pub fn squared_error(&mut self, prediction: NodeId, wanted: NodeId) -> Result<NodeId> {
        let difference = self.sub(prediction, wanted)?;
        let squares = self.square(difference)?;
        let rows = self.dims(squares)[0];
        let sums = self.sum(squares, 1, self.dims(squares).len() - 1)?;
        self.reshape(sums, [rows])
    }
    /// The mean of squared differences of each row, as `[rows]`.
    ///
    /// # Errors
    /// As [`Graph::squared_error`].
    pub fn mean_squared_error(&mut self, prediction: NodeId, wanted: NodeId) -> Result<NodeId> {
        let sums = self.squared_error(prediction, wanted)?;
        let columns = self.ty(prediction).elements() / self.dims(sums)[0];
        self.scale(sums, 1.0 / columns as f32)
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    let of = |rows: usize, columns: usize, mean: bool| {
        let inputs = vec![Sample::floats(&[rows, columns]), Sample::floats(&[rows, columns])];
        let case = Case::new(inputs, move |graph, x| match mean {
            true => graph.mean_squared_error(x[0], x[1]),
            false => graph.squared_error(x[0], x[1]),
        });
        case.labelled(if mean { "mean" } else { "sum" })
    };
    vec![
        of(1, 1, false),
        of(7, 5, false),
        of(7, 5, true),
        of(18, 1024, false),
        of(131, 3, true),
        of(64, 36, true),
        of(256, 1024, false).timed(),
    ]
}
