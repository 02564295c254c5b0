//! How far a GPU may be from the oracle: |gpu - reference| <= absolute + relative |reference|, per op, with the reason.

/// An allowance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Absolute part.
    pub absolute: f64,
    /// Part of the reference's size.
    pub relative: f64,
    /// Why it is as large as it is.
    pub reason: &'static str,
}

impl Tolerance {
    /// For sums of so many numbers near 1: each of n roundings is as large as the partial sum, some sqrt(n) / 3 times
    /// 2^-24, and they add up like sqrt(n), so that the error grows with n.
    #[must_use]
    pub fn for_sums_of(self, summands: usize) -> Self {
        Self { absolute: self.absolute * (summands as f64 / 128.0).max(1.0), ..self }
    }

    /// How many times the allowance an error is; at most 1 passes.
    pub fn excess(&self, value: f64, reference: f64) -> f64 {
        if !value.is_finite() {
            return f64::INFINITY;
        }
        let allowed = self.absolute + self.relative * reference.abs();
        let error = (value - reference).abs();
        if error == 0.0 { 0.0 } else { error / allowed }
    }
}

const EXACT: Tolerance = Tolerance { absolute: 0.0, relative: 0.0, reason: "moves values without computing" };
const ROUNDED: Tolerance =
    Tolerance { absolute: 1e-6, relative: 1e-6, reason: "a few roundings of 2^-24, and what cancels in a sum" };
const TRANSCENDENTAL: Tolerance = Tolerance {
    absolute: 2e-6,
    relative: 2e-5,
    reason: "Vulkan allows exp and log errors of 3 + 2|x| units in the last place, and drivers use it",
};
const SUMMED: Tolerance = Tolerance {
    absolute: 1e-5,
    relative: 1e-5,
    reason: "sums of up to some thousand products of numbers near 1 in another order than the oracle's",
};

const MAPPED: Tolerance = Tolerance {
    absolute: 2e-5,
    relative: 1e-5,
    reason: "coordinates of some tens of pixels are rounded at 2^-20 or so, and neighbours differ by up to 1 / deviation",
};
const NORMALISED: Tolerance = Tolerance {
    absolute: 2e-5,
    relative: 2e-5,
    reason: "differences from a mean over a root of squares, each of which is a sum",
};

const GRADIENT: Tolerance = Tolerance {
    absolute: 3e-5,
    relative: 5e-5,
    reason: "a chain of several ops, with sums and exponentials among them, each within its own allowance",
};

/// The allowance of an op, or of any op's `gradient`.
pub fn tolerance(op: &str) -> Tolerance {
    match op {
        "transpose" | "slice" | "reshape" | "pad" | "pad2d" | "concat" | "pack" | "relu" | "relu_backward"
        | "max_pool2d" | "correct" => EXACT,
        "add"
        | "subtract"
        | "multiply"
        | "scale"
        | "square"
        | "relu6"
        | "relu6_backward"
        | "leaky_relu"
        | "leaky_relu_backward"
        | "square_backward"
        | "dropout"
        | "average"
        | "sqrt"
        | "gather"
        | "average_pool2d"
        | "average_pool2d_backward"
        | "global_average_pool"
        | "max_pool2d_backward"
        | "resize2d"
        | "resize2d_backward"
        | "broadcast" => ROUNDED,
        "matmul"
        | "conv2d"
        | "conv2d_backward_input"
        | "conv2d_backward_weight"
        | "sum"
        | "channel_mean"
        | "channel_variance"
        | "channel_sum"
        | "channel_product"
        | "accumulate"
        | "norm"
        | "batch_total"
        | "batch_share" => SUMMED,
        "augment" | "resized_crop" => MAPPED,
        "batch_norm"
        | "batch_norm_inference"
        | "batch_norm_coefficients"
        | "batch_norm_backward"
        | "update_running" => NORMALISED,
        "gradient" => GRADIENT,
        _ => TRANSCENDENTAL,
    }
}
