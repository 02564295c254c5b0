//! Evaluates ops that a file describes, with their gradients: our half of `scripts/compare_pytorch_ops.py`.
//!
//! Usage: `evaluate_ops IN.safetensors OUT.safetensors cpu|gpu`. IN is as [`kernels_tests::described`] says; OUT holds the
//! results of case i under `i.`.

use std::error::Error;

use gpunn::Engine;
use kernels_tests::described::{Setup, read};
use safetensors::tensor::{Dtype, TensorView};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to, device] = arguments.as_slice() else {
        return Err("usage: evaluate_ops IN.safetensors OUT.safetensors cpu|gpu".into());
    };
    let mut engine = match device.as_str() {
        "cpu" => Engine::cpu(),
        _ => kernels_tests::gpu(gpunn::gpu::DeviceOptions::default()).ok_or("there is no adapter")?,
    };
    let (cases, given) = read(&std::fs::read(from)?)?;
    let mut results = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let found = Setup::of(number, case, &given).and_then(|setup| setup.on(&mut engine));
        for (name, (shape, value)) in found.map_err(|error| format!("{case:?}: {error}"))? {
            results.push((format!("{number}.{name}"), shape, value.to_bytes()));
        }
    }
    let views = results
        .iter()
        .map(|(name, shape, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    std::fs::write(to, safetensors::serialize(views, None)?)?;
    println!("{} cases on {}", cases.len(), engine.device_name());
    Ok(())
}
