//! Kernel times, measured on either executor, and their sums by kernel.
//!
//! ```
//! use gpunn::profile::{Timed, by_kernel};
//!
//! let timed = |kernel: &str, duration| Timed {
//!     kernel: kernel.into(), node: "fc1".into(), step: 0, start: 0.0, duration, flops: 10, bytes: 40,
//! };
//! let lines = by_kernel(&[timed("matmul", 3000.0), timed("matmul", 1000.0), timed("relu", 500.0)]);
//! assert_eq!((lines[0].kernel.as_str(), lines[0].calls), ("matmul", 2));
//! ```

/// The time of one dispatch on a GPU, or of one node on the CPU.
#[derive(Clone, Debug, PartialEq)]
pub struct Timed {
    /// The kernel's label. On the CPU, the op and the shape of its result.
    pub kernel: String,
    /// The node's name.
    pub node: String,
    /// The number of the step.
    pub step: usize,
    /// The start in nanoseconds, relative to the first dispatch.
    pub start: f64,
    /// The duration in nanoseconds.
    pub duration: f64,
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes that must be moved.
    pub bytes: u64,
}

/// The total of all dispatches of one kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelTime {
    /// The kernel's label.
    pub kernel: String,
    /// The number of dispatches.
    pub calls: usize,
    /// The total time in milliseconds.
    pub milliseconds: f64,
    /// The fraction of the total time, from 0 to 1.
    pub share: f64,
    /// Billions of floating-point operations per second.
    pub gflops: f64,
    /// Billions of bytes per second.
    pub gbytes: f64,
}

/// Sums the dispatches by kernel. The kernel with the longest time comes first.
pub fn by_kernel(timed: &[Timed]) -> Vec<KernelTime> {
    let whole: f64 = timed.iter().map(|dispatch| dispatch.duration).sum();
    let mut names: Vec<&str> = timed.iter().map(|dispatch| dispatch.kernel.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let of = |name: &str| {
        let calls: Vec<_> = timed.iter().filter(|dispatch| dispatch.kernel == name).collect();
        let nanoseconds: f64 = calls.iter().map(|dispatch| dispatch.duration).sum();
        let per = |count: u64| if nanoseconds > 0.0 { count as f64 / nanoseconds } else { 0.0 };
        KernelTime {
            kernel: name.to_owned(),
            calls: calls.len(),
            milliseconds: nanoseconds / 1e6,
            share: if whole > 0.0 { nanoseconds / whole } else { 0.0 },
            gflops: per(calls.iter().map(|dispatch| dispatch.flops).sum()),
            gbytes: per(calls.iter().map(|dispatch| dispatch.bytes).sum()),
        }
    };
    let mut times: Vec<KernelTime> = names.into_iter().map(of).collect();
    times.sort_by(|a, b| b.milliseconds.total_cmp(&a.milliseconds));
    times
}
