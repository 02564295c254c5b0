//! Kernel times as a trace file.

use crate::profile::Timed;

/// Formats dispatches as a trace in JSON, for Chrome and Perfetto.
pub fn trace(timed: &[Timed]) -> String {
    let event = |dispatch: &Timed| {
        serde_json::json!({
            "name": dispatch.node, "cat": "kernel", "ph": "X", "pid": 0, "tid": 0,
            "ts": dispatch.start / 1e3, "dur": dispatch.duration / 1e3,
            "args": {
                "kernel": dispatch.kernel, "step": dispatch.step, "flops": dispatch.flops, "bytes": dispatch.bytes,
            },
        })
    };
    let events: Vec<_> = timed.iter().map(event).collect();
    serde_json::json!({ "traceEvents": events, "displayTimeUnit": "ns" }).to_string()
}
