//! Each element between two limits.

use crate::Result;
use crate::graph::{Graph, NodeId};
use crate::ops::Real;
use crate::ops::case::Case;
use crate::ops::elementwise::{Map, Unary};

/// min(max(x, least), most).
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    /// The smallest result, a finite number.
    pub least: f32,
    /// The largest result, a finite number. If it is below `least`, every result is this.
    pub most: f32,
}

impl Unary for Clip {
    const NAMES: [&'static str; 2] = ["clip", "clip_backward"];
    const FUNCTION: &'static str = "clipped";
    const WGSL: &'static str = include_str!("../../shaders/clip.wgsl");
    const OF_RESULT: bool = true;
    const FLOPS: [u64; 2] = [2, 2];

    /// What is not a number stays so.
    fn value<T: Real>(&self, x: T) -> T {
        let (least, most) = (T::of(f64::from(self.least)), T::of(f64::from(self.most)));
        let raised = if x < least { least } else { x };
        if raised > most { most } else { raised }
    }

    /// dy if the result is between the limits, otherwise 0.
    fn derivative<T: Real>(&self, y: T, dy: T) -> T {
        let (least, most) = (T::of(f64::from(self.least)), T::of(f64::from(self.most)));
        if y > least && y < most { dy } else { T::zero() }
    }

    fn parameters(&self) -> Vec<f32> {
        vec![self.least, self.most]
    }
}

impl Graph {
    /// min(max(x, `least`), `most`) of each element. An infinite limit is the last finite number.
    ///
    /// # Errors
    /// When `x` does not hold floats.
    pub fn clip(&mut self, x: NodeId, least: f32, most: f32) -> Result<NodeId> {
        // Shaders need not know infinite numbers.
        let (least, most) = (least.clamp(f32::MIN, f32::MAX), most.clamp(f32::MIN, f32::MAX));
        self.apply(Map::of(Clip { least, most }), &[x])
    }

    /// min(max(x, 0), 6) of each element. MobileNet uses it.
    ///
    /// # Errors
    /// When `x` does not hold floats.
    pub fn relu6(&mut self, x: NodeId) -> Result<NodeId> {
        self.clip(x, 0.0, 6.0)
    }
}

/// Shapes to test and to time, with values on both sides of each limit; without one limit; and with limits in the wrong order.
pub fn cases() -> Vec<Case> {
    let from_zero = crate::ops::case::kinked(-2.0, 2.0, |graph, x| graph.clip(x, 0.0, 3.0));
    let sided = |name: &str, least: f32, most: f32| {
        let cases = crate::ops::case::kinked(-2.0, 2.0, move |graph, x| graph.clip(x, least, most));
        cases.into_iter().take(3).map(|case| case.labelled(name)).collect::<Vec<_>>()
    };
    let sides = [
        sided("to 0", -3.0, 0.0),
        sided("without a least", f32::NEG_INFINITY, 0.0),
        sided("without a most", 0.0, f32::INFINITY),
        sided("to the most", 1.0, 0.0),
    ];
    from_zero.into_iter().chain(sides.into_iter().flatten()).collect()
}
