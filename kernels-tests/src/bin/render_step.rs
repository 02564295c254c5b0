//! Writes the kernels of a training step on hardware as WGSL files into a folder, and its dispatches as lines of JSON to standard
//! output, for `scripts/step_cost.py`.

use std::collections::HashMap;
use std::error::Error;
use std::path::PathBuf;

use gpunn::ops::table::force;
use kernels_tests::hardware::step;

const USAGE: &str = "usage: render_step FOLDER BATCH [OP=VARIANT]...";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or(USAGE)?);
    let batch = arguments.next().ok_or(USAGE)?.parse()?;
    let forced = arguments
        .map(|argument| {
            let (op, variant) = argument.split_once('=').ok_or(USAGE)?;
            Ok(force(op, variant)?)
        })
        .collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    std::fs::create_dir_all(&folder)?;
    let mut files: HashMap<String, String> = HashMap::new();
    for dispatch in step(batch, forced)? {
        let number = files.len();
        let file = match files.get(&dispatch.kernel.wgsl) {
            Some(file) => file.clone(),
            None => {
                let name = dispatch.kernel.label.split_whitespace().next().unwrap_or("kernel");
                let file = format!("{number:02}-{name}.wgsl");
                std::fs::write(folder.join(&file), &dispatch.kernel.wgsl)?;
                files.insert(dispatch.kernel.wgsl.clone(), file.clone());
                file
            }
        };
        let groups: u64 = dispatch.groups.iter().map(|&groups| u64::from(groups)).product();
        println!("{}", serde_json::json!({ "file": file, "groups": groups, "dims": dispatch.dims }));
    }
    Ok(())
}
