//! Writes the kernels for hardware as WGSL files into a folder and prints their paths, for `scripts/kernel_table.py`.

use std::path::PathBuf;

fn main() {
    let Some(folder) = std::env::args().nth(1).map(PathBuf::from) else {
        eprintln!("usage: render_kernels FOLDER");
        std::process::exit(2);
    };
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    for kernel in kernels_tests::hardware::kernels() {
        let path = folder.join(format!("{}.wgsl", kernel.name));
        std::fs::write(&path, &kernel.kernel.wgsl).expect("the file can be written");
        println!("{}", path.display());
    }
}
