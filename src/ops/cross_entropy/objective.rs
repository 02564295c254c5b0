//! What the logits of a row are held against: one label or two, with smoothing, weights of classes, and focus.

use crate::ops::{Real, Step};

/// What the logits of a row are held against. The default is the row's label.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Objective {
    /// Label smoothing: the fraction of the target that is spread evenly over all classes.
    pub smoothing: f32,
    /// The exponent of focal loss (T.-Y. Lin et al., "Focal loss for dense object detection", ICCV 2017): the loss is multiplied by
    /// (1 - p)^focus, where p is the probability of the label. 0 for none, else at least 1, and then without smoothing and mixing.
    pub focus: f32,
    /// Whether images are mixed ([`Mix`](crate::ops::augment::mix::Mix)). Then a row has two labels: its own with the share
    /// [`Step::share`], and that of the next row with the rest.
    pub mixed: bool,
}

/// A label of a row, and the factor of its loss.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<T> {
    pub label: usize,
    pub factor: T,
}

impl Objective {
    /// The row with which a row is mixed: the next one, or the first one for the last.
    pub(crate) fn partner(row: usize, step: &Step) -> usize {
        (row + 1) % (step.valid as usize).max(1)
    }

    /// The labels of a row, of the labels of a batch and the weights of the classes. The second one has the factor 0 where images are
    /// not mixed.
    pub(super) fn parts<T: Real>(&self, (labels, weights): (&[u32], &[T]), step: &Step, row: usize) -> [Part<T>; 2] {
        let part = |row: usize, share: T| {
            let label = (labels[row] as usize).min(weights.len() - 1);
            Part { label, factor: share * weights[label] }
        };
        if !self.mixed {
            let own = part(row, T::one());
            return [own, Part { factor: T::zero(), ..own }];
        }
        let share = T::of(f64::from(step.share));
        [part(row, share), part(Self::partner(row, step), T::one() - share)]
    }

    /// The share of the target that each class has.
    pub(super) fn everywhere<T: Real>(&self, classes: usize) -> T {
        T::of(f64::from(self.smoothing)) / T::count(classes)
    }

    /// Checks that the parts can be combined.
    pub(super) fn check(&self) -> Result<(), String> {
        match self.focus {
            0.0 => Ok(()),
            focus if !(1.0..=10.0).contains(&focus) => {
                Err(format!("the focus is {focus}; it may be 0, or from 1 to 10"))
            }
            _ if self.smoothing > 0.0 || self.mixed => {
                Err("focal loss goes neither with label smoothing nor with mixed images".into())
            }
            _ => Ok(()),
        }
    }

    /// The factor of focal loss, and the factor of its gradient by the logits, for the label's probability `p` and the
    /// probability `rest` of all other classes.
    pub(super) fn focused<T: Real>(&self, p: T, rest: T) -> [T; 2] {
        if self.focus == 0.0 {
            return [T::one(); 2];
        }
        let focus = T::of(f64::from(self.focus));
        let less = rest.powf(focus - T::one());
        let log = if p > T::zero() { p.ln() } else { T::zero() };
        [less * rest, less * (rest - focus * p * log)]
    }
}
