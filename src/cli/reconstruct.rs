//! `gpunn reconstruct`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::Result;
use crate::data::{Split, SplitName};
use crate::images::comparison_sheet;
use crate::inference::{Baseline, Reconstruction, Reconstructor};

use super::flags::{ComputeArgs, EvaluatedArgs, RunArgs};
use super::outputs;
use super::working::Working;

/// Classes drawn by default: those of the NIST36 assignment's report.
const DEFAULT_CLASSES: [&str; 5] = ["A", "E", "K", "U", "8"];
/// Images per class.
const IMAGES_PER_CLASS: usize = 2;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  gpunn reconstruct runs/nist36-autoencoder-20260101-1 --out image.png",
    mut_arg("split", |split| split.help("The split to evaluate: train, val or test [default: val, else test, else train]"))
)]
pub struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// Write an image file with two images of each class: originals, the network's reconstructions, and those of principal components
    #[arg(long, value_name = "FILE", value_parser = outputs::image())]
    out: Option<PathBuf>,
    #[command(flatten)]
    data: EvaluatedArgs,
    /// The classes to draw [default: A,E,K,U,8 if the dataset has them, else the first five]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    classes: Option<Vec<String>>,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct ReconstructOutput {
    split: String,
    images: usize,
    /// Width of the bottleneck, and number of principal components.
    width: usize,
    /// Mean PSNR over the images, in dB.
    psnr: Option<f64>,
    pca_psnr: Option<f64>,
    pca_clamped_psnr: Option<f64>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.compute.device.set_threads()?;
    let asked = args.data.split()?;
    let checkpoint = args.run.checkpoint()?;
    let named = chosen(&checkpoint.classes, args.classes.as_deref())?;
    let order = [SplitName::Val, SplitName::Test, SplitName::Train];
    let (dataset, split_name) = args.data.load(&args.run, &checkpoint, asked, order)?;
    let split = dataset.split(split_name)?;
    checkpoint.check_data(&dataset)?;
    let engine = args.compute.open()?;
    let work = Working::new("reconstructing", args.compute.quiet);
    let mut reconstructor = Reconstructor::new(engine, checkpoint, split.len())?;
    let whole = crate::blocking::block_on(reconstructor.reconstruct(split))?;
    let baseline = match reconstructor.baseline(dataset.split(SplitName::Train)?, &whole) {
        Ok(baseline) => Some(baseline),
        Err(error) => {
            work.above(|| eprintln!("warning: no comparison with principal components: {error}"));
            None
        }
    };
    drop(work);
    if let Some(out) = &args.out {
        let image = draw(&whole, baseline.as_ref(), split, &named, &reconstructor.checkpoint().classes);
        crate::images::write(&image.into(), out)?;
        eprintln!("images written to {}", out.display());
    }
    let output = ReconstructOutput {
        split: split_name.to_string(),
        images: split.len(),
        width: reconstructor.width(),
        psnr: whole.psnr(),
        pca_psnr: baseline.as_ref().map(|baseline| baseline.psnr),
        pca_clamped_psnr: baseline.as_ref().map(|baseline| baseline.clamped_psnr),
    };
    args.compute.output.print(&output, print)?;
    Ok(ExitCode::SUCCESS)
}

/// The indices of the classes to draw.
fn chosen(classes: &[String], asked: Option<&[String]>) -> Result<Vec<usize>> {
    let number = |name: &str| classes.iter().position(|class| class == name);
    let known: Vec<&str> = classes.iter().map(String::as_str).collect();
    match asked {
        Some(asked) => {
            asked.iter().map(|name| number(name).ok_or_else(|| crate::error::unknown("class", name, &known))).collect()
        }
        None => {
            let shown: Option<Vec<usize>> = DEFAULT_CLASSES.into_iter().map(number).collect();
            Ok(shown.unwrap_or_else(|| (0..classes.len().min(DEFAULT_CLASSES.len())).collect()))
        }
    }
}

/// Draws the first images of each of these classes, with their reconstructions below.
fn draw(
    whole: &Reconstruction,
    baseline: Option<&Baseline>,
    split: &Split,
    chosen: &[usize],
    classes: &[String],
) -> image::RgbImage {
    let of_class = |&class: &usize| {
        let numbers = (0..split.len()).filter(move |&number| split.labels[number] as usize == class);
        numbers.take(IMAGES_PER_CLASS)
    };
    let numbers: Vec<usize> = chosen.iter().flat_map(of_class).collect();
    let names: Vec<&str> = numbers.iter().map(|&number| classes[split.labels[number] as usize].as_str()).collect();
    let values: usize = whole.shape.iter().product();
    let row = |images: &[f32]| -> Vec<Vec<f32>> {
        numbers.iter().map(|&number| images[number * values..][..values].to_vec()).collect()
    };
    let mut rows = vec![("image", row(&whole.originals)), ("network", row(&whole.reconstructed))];
    if let Some(baseline) = baseline {
        rows.push(("pca", row(&baseline.reconstructed)));
    }
    comparison_sheet(whole.shape, &names, &rows)
}

fn print(output: &ReconstructOutput) {
    let ReconstructOutput { split, images, width, psnr, pca_psnr, pca_clamped_psnr } = output;
    let figure = |psnr: &Option<f64>| psnr.map_or("none".into(), |psnr| format!("{psnr:.2} dB"));
    super::print_line(&format!(
        "{split}: {images} images, {width} values each in the bottleneck; mean PSNR of the reconstructions"
    ));
    super::print_line(&format!("network                          {}", figure(psnr)));
    let name = format!("{width} principal components");
    super::print_line(&format!("{name:<32} {}", figure(pca_psnr)));
    super::print_line(&format!("  clamped to 0..1                {}", figure(pca_clamped_psnr)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_classes_are_drawn_where_there_are_all() {
        let names = |text: &str| text.split(' ').map(String::from).collect::<Vec<_>>();
        assert_eq!(chosen(&names("8 A C E K U"), None).expect("chosen"), [1, 3, 4, 5, 0]);
        assert_eq!(chosen(&names("cat dog"), None).expect("chosen"), [0, 1]);
        assert_eq!(chosen(&names("A E K U 7 9"), None).expect("chosen"), [0, 1, 2, 3, 4]);
        assert_eq!(chosen(&names("cat dog"), Some(&names("dog"))).expect("chosen"), [1]);
        let sentence = chosen(&names("cat dog"), Some(&names("dgo"))).expect_err("unknown").to_string();
        assert!(sentence.contains("did you mean `dog`"), "{sentence}");
    }
}
