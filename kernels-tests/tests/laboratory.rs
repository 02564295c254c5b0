//! AMD's compiler on every kernel for hardware, without a GPU: no kernel may keep registers in memory. Where `GPUNN_LAB` names a
//! folder with the program `kernel-stats` (see `scripts/kernel_table.py`), else only the kernels' texts are made.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;

use kernels_tests::hardware::{NamedKernel, every_variant, kernels};

/// The number after a name in a line of statistics.
fn number(line: &str, name: &str) -> Option<u64> {
    let (_, rest) = line.split_once(&format!("  {name} "))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Has each family's compiler judge kernels, and asserts that none spills of those that must not.
fn judge(kernels: &[(NamedKernel, bool)]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |(kernel, _): &(NamedKernel, bool)| folder.path().join(format!("{}.wgsl", kernel.name));
    let paths: Vec<PathBuf> = kernels.iter().map(path).collect();
    for ((kernel, _), path) in kernels.iter().zip(&paths) {
        assert!(!path.exists(), "{} is there twice", kernel.name);
        std::fs::write(path, &kernel.kernel.wgsl).expect("written");
    }
    let Some(laboratory) = std::env::var_os("GPUNN_LAB").map(PathBuf::from) else { return };
    for family in ["navi31", "navi21", "mi200"] {
        let output = Command::new(laboratory.join("kernel-stats")).arg(family).args(&paths).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let named = |line: &'_ str| line.split_once(".wgsl ").map(|(name, _)| name.to_owned());
        let lines: HashMap<String, &str> = said.lines().filter_map(|line| Some((named(line)?, line))).collect();
        let (mut most, mut spilling) = (0, 0);
        for (kernel, must_not) in kernels {
            let line = lines.get(&kernel.name).unwrap_or_else(|| {
                let error = String::from_utf8_lossy(&output.stderr);
                panic!("{family} says nothing of {} ({}):\n{said}{error}", kernel.name, kernel.kernel.label)
            });
            let figures = ["Spilled VGPRs", "Spilled SGPRs", "Scratch size"].map(|spilled| number(line, spilled));
            if figures == [Some(0); 3] {
                most = most.max(number(line, "VGPRs").unwrap_or(0));
                continue;
            }
            spilling += 1;
            assert!(!must_not, "{family} spills: {} {line}", kernel.kernel.label);
        }
        let count = kernels.len() - spilling;
        println!("{family}: {count} kernels without a spill, at most {most} VGPRs; {spilling} for software spill");
    }
}

#[test]
fn no_kernel_for_hardware_spills_registers() {
    let kernels: Vec<_> = kernels().into_iter().map(|kernel| (kernel, true)).collect();
    assert!(kernels.len() >= 25, "only {}", kernels.len());
    judge(&kernels);
}

/// In the slow part: every kernel of every op, with each variant, compiles, and only those for software rasterisers spill.
#[test]
fn no_variant_of_the_op_table_spills_registers() {
    if !kernels_tests::slow() {
        return;
    }
    let kernels = every_variant();
    assert!(kernels.len() >= 200, "only {}", kernels.len());
    judge(&kernels);
}
