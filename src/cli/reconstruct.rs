//! `gpunn reconstruct`.

use std::path::PathBuf;
use std::process::ExitCode;

use gpunn::data::{Split, SplitName};
use gpunn::images::comparison_sheet;
use gpunn::inference::{Baseline, Reconstruction, Reconstructor};
use gpunn::{Result, gpu};

use super::engine::DeviceArgs;
use super::images::write_png;

/// The classes that the source's report shows.
const SHOWN: [&str; 5] = ["A", "E", "K", "U", "8"];
/// Images of each.
const OF_EACH: usize = 2;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpunn reconstruct runs/nist36-autoencoder-20260101-1 --out image.png")]
pub struct Args {
    /// A run directory, or a checkpoint file
    run: PathBuf,
    /// Draw two images of five classes there, as PNG: as they are, given back by the network, and by principal components
    #[arg(long, value_name = "PNG")]
    out: Option<PathBuf>,
    /// train, val or test [default: val, else test, else train]
    #[arg(long, value_name = "SPLIT")]
    split: Option<String>,
    /// The classes to draw [default: A,E,K,U,8, else the first five]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    classes: Option<Vec<String>>,
    /// Use the best epoch's weights instead of the last's
    #[arg(long)]
    best: bool,
    /// The folder that holds data sets, where it is not the one that the run used
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one line of JSON last
    #[arg(long)]
    json: bool,
    /// Do not say which device computes
    #[arg(long, short)]
    quiet: bool,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Answer {
    split: String,
    images: usize,
    /// Numbers that stand for an image, and principal components.
    width: usize,
    /// Mean over images, in dB.
    psnr: Option<f64>,
    pca_psnr: Option<f64>,
    pca_clamped_psnr: Option<f64>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.device.set_threads()?;
    let wanted: Option<SplitName> = args.split.as_deref().map(str::parse).transpose()?;
    let checkpoint = super::eval::checkpoint(&args.run, args.best, None)?;
    let named = chosen(&checkpoint.classes, args.classes.as_deref())?;
    let dataset = checkpoint.recipe.clone().load_data(args.data_dir.as_deref())?;
    super::images::say_skipped(&dataset);
    let there = |part: &SplitName| dataset.split(*part).is_ok();
    let part = wanted.or_else(|| [SplitName::Val, SplitName::Test].into_iter().find(there)).unwrap_or(SplitName::Train);
    let split = dataset.split(part)?;
    checkpoint.check_data(&dataset)?;
    let engine = args.device.open(gpu::DeviceOptions::default(), args.quiet)?;
    let mut reconstructor = Reconstructor::new(engine, checkpoint, split.len())?;
    let whole = gpunn::blocking::block_on(reconstructor.reconstruct(split))?;
    let baseline = match reconstructor.baseline(dataset.split(SplitName::Train)?, &whole) {
        Ok(baseline) => Some(baseline),
        Err(error) => {
            eprintln!("no principal components beside it: {error}");
            None
        }
    };
    if let Some(out) = &args.out {
        let image = draw(&whole, baseline.as_ref(), split, &named, &reconstructor.checkpoint().classes);
        write_png(&image.into(), out)?;
        eprintln!("images in {}", out.display());
    }
    let answer = Answer {
        split: part.to_string(),
        images: split.len(),
        width: reconstructor.width(),
        psnr: whole.psnr(),
        pca_psnr: baseline.as_ref().map(|baseline| baseline.psnr),
        pca_clamped_psnr: baseline.as_ref().map(|baseline| baseline.clamped_psnr),
    };
    if args.json {
        super::print_json(&answer)?
    } else {
        print(&answer)
    }
    Ok(ExitCode::SUCCESS)
}

/// The numbers of the classes to draw.
fn chosen(classes: &[String], asked: Option<&[String]>) -> Result<Vec<usize>> {
    let number = |name: &str| classes.iter().position(|class| class == name);
    let known: Vec<&str> = classes.iter().map(String::as_str).collect();
    match asked {
        Some(asked) => {
            asked.iter().map(|name| number(name).ok_or_else(|| gpunn::error::unknown("class", name, &known))).collect()
        }
        None => {
            let shown: Option<Vec<usize>> = SHOWN.into_iter().map(number).collect();
            Ok(shown.unwrap_or_else(|| (0..classes.len().min(SHOWN.len())).collect()))
        }
    }
}

/// The first images of each of these classes, what was made of them below.
fn draw(
    whole: &Reconstruction,
    baseline: Option<&Baseline>,
    split: &Split,
    chosen: &[usize],
    classes: &[String],
) -> image::RgbImage {
    let of_class = |&class: &usize| {
        let numbers = (0..split.len()).filter(move |&number| split.labels[number] as usize == class);
        numbers.take(OF_EACH)
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

fn print(answer: &Answer) {
    let Answer { split, images, width, psnr, pca_psnr, pca_clamped_psnr } = answer;
    let figure = |psnr: &Option<f64>| psnr.map_or("none".into(), |psnr| format!("{psnr:.2} dB"));
    super::print_line(&format!("{split}: {images} images through {width} numbers each and back; mean PSNR"));
    super::print_line(&format!("the network                      {}", figure(psnr)));
    let name = format!("{width} principal components");
    super::print_line(&format!("{name:<32} {}", figure(pca_psnr)));
    super::print_line(&format!("the same, clamped to 0 to 1      {}", figure(pca_clamped_psnr)));
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
