//! `gpunn data check`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::datasets::{FolderCheck, LeftOut, Place};
use crate::{Error, Result};

use super::flags::{ComputeArgs, DataDirArgs, LabelArgs};
use super::label_check;
use super::numbers::whole;

/// The number of lines of each list.
const LISTED: usize = 10;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  gpunn data check my-images\n  \
    gpunn data check --run runs/my-images-20260101-1\n\n\
    The exit code is 1 if an image is broken, or if the same image is in two splits or in two classes.")]
pub struct Args {
    /// The path of a folder of images
    #[arg(required_unless_present = "run")]
    folder: Option<String>,
    /// List the images of a run's dataset whose labels are probably wrong. Trains networks as the run was trained, each on a part of
    /// the images, and compares their answers for the other images with the labels
    #[arg(long, conflicts_with = "folder")]
    run: Option<PathBuf>,
    /// With --run: the number of networks. Each is trained on all images but one N-th
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = whole::<usize>(2), requires = "run")]
    folds: usize,
    /// List everything, not only the first of each kind
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    labels: LabelArgs,
    #[command(flatten)]
    data_dir: DataDirArgs,
    #[command(flatten)]
    compute: ComputeArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let most = if args.all { usize::MAX } else { LISTED };
    if let Some(run) = &args.run {
        if args.labels.labels()?.is_some() {
            return Err(Error::usage("A run knows its own file of labels; leave --labels out."));
        }
        return label_check::run(run, args.folds, args.data_dir.path(), &args.compute, most);
    }
    let folder = args.folder.as_deref().ok_or_else(|| Error::usage("Name a folder of images, or a run with --run."))?;
    let labels = args.labels.labels()?;
    let check = crate::datasets::check_folder(folder, args.data_dir.path(), labels.as_ref())?;
    args.compute.output.print(&check, |check| print(check, folder, most))?;
    let bad = !check.broken.is_empty() || !check.across_splits().is_empty() || !check.across_classes().is_empty();
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print(check: &FolderCheck, folder: &str, most: usize) {
    let say = |line: String| super::print_line(&line);
    say(format!("{folder}: {} images of {} classes", check.images(), check.classes.len()));
    for (split, counts) in &check.splits {
        let what = if check.unlabelled.is_some() { "labels" } else { "images" };
        say(format!("  {split:<6} {}", counted(counts, &check.classes, what)));
    }
    if let Some(without) = check.unlabelled.filter(|&without| without > 0) {
        say(format!("images without a label: {without}"));
    }
    let formats: Vec<String> = check.formats.iter().map(|(format, count)| format!("{format} {count}")).collect();
    say(format!("formats: {}", formats.join(", ")));
    if let Some(sizes) = check.sizes {
        let [smallest, median, largest] = sizes.map(|[height, width]| format!("{width}x{height}"));
        say(format!("sizes (width x height): {smallest} to {largest}, median {median}"));
    }
    list(&say, "broken images", check.broken.iter().map(|file| file.reason.clone()).collect(), most);
    list(&say, "files left out", by_reason(&check.left_out), most);
    let groups = |groups: Vec<&Vec<Place>>| groups.iter().map(|group| joined(group, " = ")).collect::<Vec<_>>();
    let title = match check.unlabelled {
        None => "the same image in two classes: one label is wrong",
        Some(_) => "the same image with different labels",
    };
    list(&say, title, groups(check.across_classes()), most);
    list(&say, "the same image in two splits: it is trained on and measured", groups(check.across_splits()), most);
    let in_one_class =
        |group: &&Vec<Place>| group.iter().all(|place| place.split == group[0].split && place.class == group[0].class);
    list(&say, "the same image twice", groups(check.copies.iter().filter(in_one_class).collect()), most);
    match &check.near_copies {
        None => say("near copies: not searched, because there are too many images".into()),
        Some(pairs) => {
            let lines = pairs.iter().map(|pair| joined(pair, " ~ ")).collect();
            list(&say, "images that look almost the same", lines, most);
        }
    }
}

/// The images of a split, or their labels: their number, and the smallest and the largest class if they differ.
fn counted(counts: &[usize], classes: &[String], what: &str) -> String {
    let all: usize = counts.iter().sum();
    let by_count = |class: &usize| counts[*class];
    let (smallest, largest) = ((0..counts.len()).min_by_key(by_count), (0..counts.len()).max_by_key(by_count));
    match (smallest, largest) {
        (Some(smallest), Some(largest)) if counts[smallest] < counts[largest] => format!(
            "{all} {what}, {} of {} to {} of {}",
            counts[smallest], classes[smallest], counts[largest], classes[largest]
        ),
        (Some(class), _) => format!("{all} {what}, {} of each class", counts[class]),
        _ => format!("{all} {what}"),
    }
}

/// The files that are left out: for each reason the number and the first.
fn by_reason(files: &[LeftOut]) -> Vec<String> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for file in files {
        match reasons.iter_mut().find(|(reason, _)| *reason == file.reason) {
            Some((_, paths)) => paths.push(&file.path),
            None => reasons.push((&file.reason, vec![&file.path])),
        }
    }
    let line = |(reason, paths): (&str, Vec<&str>)| match paths[..] {
        [path] => format!("{path}: {reason}"),
        _ => format!("{} files, such as {}: {reason}", paths.len(), paths[0]),
    };
    reasons.into_iter().map(line).collect()
}

fn joined(places: &[Place], sign: &str) -> String {
    places.iter().map(|place| place.path.as_str()).collect::<Vec<_>>().join(sign)
}

/// Prints a list with its title and number, if it has lines.
pub(super) fn list(say: &impl Fn(String), title: &str, lines: Vec<String>, most: usize) {
    if lines.is_empty() {
        return;
    }
    say(format!("{title}: {}", lines.len()));
    for line in lines.iter().take(most) {
        say(format!("  {line}"));
    }
    if lines.len() > most {
        say(format!("  and {} more; --all lists them", lines.len() - most));
    }
}
