//! The cache of compiled kernels: it can be saved and loaded, and damaged data is refused without harm.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use gpunn::Engine;
use gpunn::gpu::{Counts, Device, DeviceOptions, KeptKernels};
use gpunn::graph::{Passes, Plan, PlanOptions, optimize};
use kernels_tests::mlp::Mlp;
use kernels_tests::results;
use kernels_tests::unsupported;

/// The results of a step that ran with kernels from a cache.
struct Ran {
    results: BTreeMap<String, Vec<u32>>,
    counts: Counts,
    /// The cache data after each save.
    kept: Vec<Vec<u8>>,
}

/// Runs a training step on a newly opened device. None without an adapter.
fn run(bytes: Option<Vec<u8>>) -> Option<Ran> {
    let adapter = kernels_tests::adapter()?;
    let device =
        gpunn::blocking::block_on(Device::open(&adapter, DeviceOptions::default())).expect("the adapter opens");
    let kept = Arc::new(Mutex::new(Vec::new()));
    let all = kept.clone();
    let keep = Box::new(move |bytes: &[u8]| all.lock().expect("no panic").push(bytes.to_vec()));
    let mut engine = Engine::gpu_with_kernels(device, KeptKernels { bytes, keep });
    let mlp = Mlp::default();
    let graph = optimize(&mlp.training().expect("it builds"), Passes::default()).expect("it builds");
    let plan = Plan::new(graph, &engine.target(), PlanOptions::default()).expect("it fits");
    let results = results(&mut engine, plan, &mlp.values(0.3)).expect("it runs");
    let Engine::Gpu(executor) = &engine else { unreachable!("a GPU's engine") };
    let counts = executor.device().counts();
    let kept = kept.lock().expect("no panic").clone();
    Some(Ran { results, counts, kept })
}

/// A run without a cache, and the cache data that it made. None if there is no adapter or its backend has no such cache.
fn first() -> Option<(Ran, Vec<u8>)> {
    let adapter = kernels_tests::adapter()?;
    let first = run(None)?;
    assert_eq!(adapter.kernels_key().is_some(), !first.kept.is_empty(), "a name to keep them under, and what to keep");
    let Some(last) = first.kept.last().cloned() else {
        unsupported("the backend keeps no compiled kernels");
        return None;
    };
    Some((first, last))
}

#[test]
fn kept_kernels_are_taken_back_and_give_the_same_bits() {
    let Some((first, bytes)) = first() else { return };
    assert!(first.counts.pipelines > 5 && !bytes.is_empty());
    let again = run(Some(bytes.clone())).expect("as before");
    assert_eq!((&again.results, again.counts), (&first.results, first.counts));
    // The next cache data holds at least the previous kernels.
    assert!(again.kept.last().is_some_and(|next| next.len() >= bytes.len()));
}

#[test]
fn damaged_kernels_are_refused_without_harm() {
    let Some((first, bytes)) = first() else { return };
    let lengths = [0, 1, 31, 64, bytes.len() / 2, bytes.len() - 1];
    let cut = lengths.map(|length| (format!("cut to {length}"), bytes[..length].to_vec()));
    // All bytes of wgpu's header that name the backend and the adapter; some of the rest of it, of the driver's header, and of the kernels.
    let places = (16..32).chain((0..100).step_by(6)).chain((100..bytes.len()).step_by(bytes.len().div_ceil(8)));
    let flipped = places.filter(|&place| place < bytes.len()).map(|place| {
        let mut bytes = bytes.clone();
        bytes[place] ^= 0xff;
        (format!("byte {place} changed"), bytes)
    });
    let longer = ("longer".to_owned(), [&bytes[..], &[0; 8]].concat());
    for (what, damaged) in cut.into_iter().chain(flipped).chain([longer]) {
        let ran = run(Some(damaged)).expect("as before");
        assert!(ran.results == first.results, "{what}: other bits");
        assert!(ran.kept.last().is_some_and(|kept| kept.len() >= bytes.len()), "{what}: no sound ones were kept");
    }
}
