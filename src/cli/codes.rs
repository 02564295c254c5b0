//! `gpunn encode` and `gpunn decode`: compression with an autoencoder.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::data::Fit;
use crate::formats::npy::{self, Npy};
use crate::images::{self, Preprocessing, open};
use crate::inference::{Reconstructor, prepare_for};
use crate::train::{Checkpoint, mean_psnr};
use crate::{Error, Result};
use image::{DynamicImage, GrayImage, RgbImage};

use super::flags::{ComputeArgs, RunArgs};
use super::outputs;
use super::working::Working;

/// Encodes images with an autoencoder: writes its bottleneck values for each image. Images of another size than the run's are
/// prepared as `gpunn predict` does. An image counts one byte per value, a code four bytes per value.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  gpunn encode runs/nist36-autoencoder-20260101-1 letter.png another.png --out codes.npy"
)]
pub struct EncodeArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Images: PNG, JPEG, BMP or WebP files
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// The file for the codes: NumPy's NPY format, 32-bit floats, one row per image
    #[arg(long, value_name = "NPY", value_parser = outputs::ending("npy"))]
    out: PathBuf,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct CodesOutput {
    images: usize,
    /// Values of a code.
    width: usize,
    /// Size of what was read: of the images one byte per value, of the codes without the file's header.
    bytes_in: usize,
    /// Size of what was written, counted likewise.
    bytes_out: usize,
    /// Mean PSNR in dB between the images and the decoded ones, if both are there.
    psnr: Option<f64>,
    out: String,
}

pub fn encode(args: EncodeArgs) -> Result<ExitCode> {
    args.compute.device.set_threads()?;
    let checkpoint = args.run.checkpoint()?;
    let images: Vec<Vec<f32>> = args.images.iter().map(|path| read(path, &checkpoint)).collect::<Result<_>>()?;
    let count = images.len();
    let engine = args.compute.open()?;
    let work = Working::new("encoding", args.compute.quiet);
    let mut reconstructor = Reconstructor::new(engine, checkpoint, count)?;
    let pixels = images.concat();
    let codes = crate::blocking::block_on(reconstructor.encode(&pixels))?;
    let psnr = quality(&mut reconstructor, &codes, &pixels)?;
    drop(work);
    let width = reconstructor.width();
    let bytes_out = codes.len() * size_of::<f32>();
    Npy { dims: vec![count, width], values: codes }.write(&args.out)?;
    let out = args.out.display().to_string();
    let encoded = CodesOutput { images: count, width, bytes_in: pixels.len(), bytes_out, psnr, out };
    args.compute.output.print(&encoded, |encoded| {
        super::print_line(&format!(
            "images: {count}; {} as bytes, {} as {width} floats each, {:.1} times smaller; {}",
            super::bytes(encoded.bytes_in),
            super::bytes(bytes_out),
            encoded.bytes_in as f64 / bytes_out as f64,
            psnr.map_or_else(
                || "no PSNR, the network changes the image size".into(),
                |psnr| format!("PSNR after decoding {psnr:.2} dB")
            )
        ));
        super::print_line(&format!("written to {}", encoded.out));
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The mean PSNR of the decoded codes; none if augmentation changes the image size before the network.
fn quality(reconstructor: &mut Reconstructor, codes: &[f32], images: &[f32]) -> Result<Option<f64>> {
    let shape = reconstructor.shape();
    if shape != reconstructor.checkpoint().input {
        return Ok(None);
    }
    let back = crate::blocking::block_on(reconstructor.decode(codes))?;
    Ok(mean_psnr(images, &back, shape.iter().product()))
}

/// An image at the run's size: unchanged if it has that size, else prepared as `gpunn predict` does.
fn read(path: &Path, checkpoint: &Checkpoint) -> Result<Vec<f32>> {
    let [channels, height, width] = checkpoint.input;
    let image = open(path)?;
    if (image.width() as usize, image.height() as usize) != (width, height) {
        return Ok(prepare_for(&image, checkpoint));
    }
    let unchanged = Preprocessing { size: [height, width], fit: Fit::Resize, channels };
    Ok(unchanged.apply(&image).into_iter().map(|byte| f32::from(byte) / 255.0).collect())
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  gpunn decode runs/nist36-autoencoder-20260101-1 codes.npy --out images/\n  \
    gpunn decode runs/nist36-autoencoder-20260101-1 codes.npy --out images/ --originals letter.png another.png")]
pub struct DecodeArgs {
    #[command(flatten)]
    run: RunArgs,
    /// The NPY file that `gpunn encode` wrote with the same run
    codes: PathBuf,
    /// The folder for the images 0000.png, 0001.png, ...; for a single image also an image file
    #[arg(long, value_name = "DIR|FILE")]
    out: PathBuf,
    /// The images that were encoded, in the same order; prints the PSNR between them and the decoded images
    #[arg(long, num_args = 1.., value_name = "IMAGE")]
    originals: Vec<PathBuf>,
    #[command(flatten)]
    compute: ComputeArgs,
}

pub fn decode(args: DecodeArgs) -> Result<ExitCode> {
    args.compute.device.set_threads()?;
    let checkpoint = args.run.checkpoint()?;
    let Npy { dims, values } = npy::read(&args.codes)?;
    let count = if dims.len() == 1 { 1 } else { dims.first().copied().unwrap_or(0) };
    let originals: Vec<Vec<f32>> = args.originals.iter().map(|path| read(path, &checkpoint)).collect::<Result<_>>()?;
    let engine = args.compute.open()?;
    let work = Working::new("decoding", args.compute.quiet);
    let mut reconstructor = Reconstructor::new(engine, checkpoint, count)?;
    let width = reconstructor.width();
    if dims.is_empty() || dims.len() > 2 || dims.last() != Some(&width) {
        return Err(Error::data(format!(
            "{} has the shape {dims:?}, but this run's network needs [images, {width}]. Use the run that encoded the images.",
            args.codes.display()
        )));
    }
    if !originals.is_empty() && originals.len() != count {
        return Err(Error::usage(format!(
            "--originals has {} images, but the file has {count} codes; give one image per code, in the same order.",
            originals.len()
        )));
    }
    let psnr = if originals.is_empty() { None } else { quality(&mut reconstructor, &values, &originals.concat())? };
    let pixels = crate::blocking::block_on(reconstructor.decode(&values))?;
    drop(work);
    write(&pixels, reconstructor.shape(), &args.out)?;
    let bytes_in = values.len() * size_of::<f32>();
    let out = args.out.display().to_string();
    let decoded = CodesOutput { images: count, width, bytes_in, bytes_out: pixels.len(), psnr, out };
    args.compute.output.print(&decoded, |decoded| {
        super::print_line(&format!(
            "images: {count}; {} as {width} floats each, {} as bytes{}",
            super::bytes(bytes_in),
            super::bytes(decoded.bytes_out),
            psnr.map_or_else(String::new, |psnr| format!("; PSNR {psnr:.2} dB"))
        ));
        super::print_line(&format!("written to {}", decoded.out));
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Writes images with values from 0 to 1: a single one as a file if `out` has the ending of an image, else numbered into a folder.
fn write(images: &[f32], shape: [usize; 3], out: &Path) -> Result<()> {
    let single = out.extension().is_some() && images::check_name(out).is_ok();
    let mut images = images.chunks(shape.iter().product::<usize>().max(1));
    match images.len() {
        1 if single => {
            return images.next().map_or(Ok(()), |image| images::write(&drawn(image, shape)?, out));
        }
        count if single => {
            return Err(Error::usage(format!(
                "{count} images do not fit into the single file {}; give a folder as --out.",
                out.display()
            )));
        }
        _ => std::fs::create_dir_all(out).map_err(Error::file("cannot create the folder", out))?,
    }
    for (number, image) in images.enumerate() {
        images::write(&drawn(image, shape)?, &out.join(format!("{number:04}.png")))?;
    }
    Ok(())
}

/// Converts an image with one or three channels.
fn drawn(image: &[f32], [channels, height, width]: [usize; 3]) -> Result<DynamicImage> {
    let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    let (plane, size) = (height * width, (width as u32, height as u32));
    let drawn = match channels {
        1 => GrayImage::from_vec(size.0, size.1, image.iter().map(|&value| byte(value)).collect()).map(Into::into),
        3 => {
            let interleaved = (0..plane).flat_map(|at| [0, 1, 2].map(|channel| byte(image[channel * plane + at])));
            RgbImage::from_vec(size.0, size.1, interleaved.collect()).map(Into::into)
        }
        _ => None,
    };
    drawn.ok_or_else(|| {
        Error::data(format!("An image with {channels} channels cannot be written as PNG; only 1 and 3 channels can."))
    })
}
