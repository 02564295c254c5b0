//! Times of kernels on either executor: what was measured, summed up by kernel, and as a trace.
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

/// One dispatch of a GPU, or one node on the CPU, timed.
#[derive(Clone, Debug, PartialEq)]
pub struct Timed {
    /// The kernel's label; on the CPU the op and its result's shape.
    pub kernel: String,
    /// The node's name.
    pub node: String,
    /// Which of the profiled steps.
    pub step: usize,
    /// Nanoseconds from the first dispatch's start.
    pub start: f64,
    /// Nanoseconds it took.
    pub duration: f64,
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes that had to be moved.
    pub bytes: u64,
}

/// All dispatches of one kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelTime {
    /// The kernel's label.
    pub kernel: String,
    /// Dispatches.
    pub calls: usize,
    /// Milliseconds, all calls together.
    pub milliseconds: f64,
    /// Part of the whole time.
    pub share: f64,
    /// Billions of floating-point operations a second.
    pub gflops: f64,
    /// Billions of bytes a second.
    pub gbytes: f64,
}

/// Sums up dispatches by kernel, the longest first.
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
