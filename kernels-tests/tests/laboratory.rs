//! AMD's compiler on every kernel for hardware, without a GPU: no kernel may keep registers in memory. Where `GPUNN_LAB` names a
//! folder with the program `kernel-stats` (see `scripts/kernel_table.py`), else only the kernels' texts are made.

use std::path::PathBuf;
use std::process::Command;

use kernels_tests::hardware::kernels;

/// The number after a name in a line of statistics.
fn number(line: &str, name: &str) -> Option<u64> {
    let (_, rest) = line.split_once(&format!("  {name} "))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[test]
fn no_kernel_for_hardware_spills_registers() {
    let folder = tempfile::tempdir().expect("a folder");
    let kernels = kernels();
    let paths: Vec<PathBuf> =
        kernels.iter().map(|kernel| folder.path().join(format!("{}.wgsl", kernel.name))).collect();
    for (kernel, path) in kernels.iter().zip(&paths) {
        assert!(!path.exists(), "{} is there twice", kernel.name);
        std::fs::write(path, &kernel.kernel.wgsl).expect("written");
    }
    assert!(kernels.len() >= 25, "only {}", kernels.len());
    let Some(laboratory) = std::env::var_os("GPUNN_LAB").map(PathBuf::from) else { return };
    for family in ["navi31", "navi21", "mi200"] {
        let output = Command::new(laboratory.join("kernel-stats")).arg(family).args(&paths).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout);
        for kernel in &kernels {
            let line = said.lines().find(|line| line.starts_with(&format!("{}.wgsl ", kernel.name)));
            let line = line.unwrap_or_else(|| panic!("{family} says nothing of {}:\n{said}", kernel.name));
            for spilled in ["Spilled VGPRs", "Spilled SGPRs", "Scratch size"] {
                assert_eq!(number(line, spilled), Some(0), "{spilled} on {family}: {line}");
            }
        }
    }
}
