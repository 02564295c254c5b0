//! `gpunn encode` and `gpunn decode`: an autoencoder as a compressor.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gpunn::formats::npy::{self, Npy};
use gpunn::images::open;
use gpunn::inference::Reconstructor;
use gpunn::train::{Checkpoint, mean_psnr};
use gpunn::{Error, Result, gpu};
use image::{DynamicImage, GrayImage, RgbImage};

use super::engine::DeviceArgs;
use super::images::write_png;

/// What both take.
#[derive(Debug, clap::Args)]
struct Common {
    /// Use the best epoch's weights instead of the last's
    #[arg(long)]
    best: bool,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one line of JSON last
    #[arg(long)]
    json: bool,
    /// Do not say which device computes
    #[arg(long, short)]
    quiet: bool,
}

impl Common {
    /// The two halves of a run's network, for so many images.
    fn open(&self, checkpoint: Checkpoint, images: usize) -> Result<Reconstructor> {
        let engine = self.device.open(gpu::DeviceOptions::default(), self.quiet)?;
        Reconstructor::new(engine, checkpoint, images)
    }
}

/// An image that has the run's size is taken as it is; another is brought to it as `gpunn predict` does. A byte a value goes
/// in; four bytes a number come out.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  gpunn encode runs/nist36-autoencoder-20260101-1 letter.png another.png --out codes.npy"
)]
pub struct EncodeArgs {
    /// A run directory, or a checkpoint file
    run: PathBuf,
    /// PNG, JPEG, BMP or WebP files
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// The file for the numbers: NumPy's NPY, 32-bit floats, a row an image
    #[arg(long, value_name = "NPY")]
    out: PathBuf,
    #[command(flatten)]
    common: Common,
}

/// What `encode --json` prints.
#[derive(serde::Serialize)]
struct Encoded {
    images: usize,
    /// Numbers that stand for an image.
    width: usize,
    /// Of the images as the network takes them, a byte a value.
    bytes_in: usize,
    /// Of the numbers, without the file's header.
    bytes_out: usize,
    /// Mean over the images, of what decoding gives, in dB.
    psnr: Option<f64>,
    out: String,
}

pub fn encode(args: EncodeArgs) -> Result<ExitCode> {
    args.common.device.set_threads()?;
    let checkpoint = super::eval::checkpoint(&args.run, args.common.best, None)?;
    let images: Vec<Vec<f32>> = args.images.iter().map(|path| read(path, &checkpoint)).collect::<Result<_>>()?;
    let count = images.len();
    let mut reconstructor = args.common.open(checkpoint, count)?;
    let pixels = images.concat();
    let codes = gpunn::blocking::block_on(reconstructor.encode(&pixels))?;
    let psnr = quality(&mut reconstructor, &codes, &pixels)?;
    let width = reconstructor.width();
    let bytes_out = codes.len() * size_of::<f32>();
    Npy { dims: vec![count, width], values: codes }.write(&args.out)?;
    let out = args.out.display().to_string();
    let encoded = Encoded { images: count, width, bytes_in: pixels.len(), bytes_out, psnr, out };
    if args.common.json {
        super::print_json(&encoded)?;
    } else {
        super::print_line(&format!(
            "images: {count}; {} as bytes, {} as {width} floats each, {:.1} times less; decoded again{}",
            super::bytes(encoded.bytes_in),
            super::bytes(bytes_out),
            encoded.bytes_in as f64 / bytes_out as f64,
            psnr.map_or_else(|| " they are of another shape".into(), |psnr| format!(", PSNR {psnr:.2} dB"))
        ));
        super::print_line(&format!("in {}", encoded.out));
    }
    Ok(ExitCode::SUCCESS)
}

/// The mean PSNR of what codes decode to; nothing where the recipe makes images of another size before the network.
fn quality(reconstructor: &mut Reconstructor, codes: &[f32], images: &[f32]) -> Result<Option<f64>> {
    let shape = reconstructor.shape();
    if shape != reconstructor.checkpoint().input {
        return Ok(None);
    }
    let back = gpunn::blocking::block_on(reconstructor.decode(codes))?;
    Ok(mean_psnr(images, &back, shape.iter().product()))
}

/// An image as the run's data are: as it is where it has their size, else as `predict` brings it there.
fn read(path: &Path, checkpoint: &Checkpoint) -> Result<Vec<f32>> {
    let [channels, height, width] = checkpoint.input;
    let image = open(path)?;
    if (image.width() as usize, image.height() as usize) != (width, height) {
        return super::predict::read(path, checkpoint);
    }
    let value = |byte: u8| f32::from(byte) / 255.0;
    Ok(match channels {
        1 => image.to_luma8().pixels().map(|pixel| value(pixel.0[0])).collect(),
        _ => {
            let coloured = image.to_rgb8();
            let plane = |channel: usize| coloured.pixels().map(move |pixel| value(pixel.0[channel.min(2)]));
            (0..channels).flat_map(plane).collect()
        }
    })
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  gpunn decode runs/nist36-autoencoder-20260101-1 codes.npy --out images/\n  \
    gpunn decode runs/nist36-autoencoder-20260101-1 codes.npy --out images/ --originals letter.png another.png")]
pub struct DecodeArgs {
    /// A run directory, or a checkpoint file: the one that encoded
    run: PathBuf,
    /// What `gpunn encode` wrote
    codes: PathBuf,
    /// The folder for the images, 0000.png, 0001.png, ...; or a PNG file for a single one
    #[arg(long, value_name = "DIR|PNG")]
    out: PathBuf,
    /// The images that were encoded, in their order, to say how well they came back
    #[arg(long, num_args = 1.., value_name = "IMAGE")]
    originals: Vec<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// What `decode --json` prints.
#[derive(serde::Serialize)]
struct Decoded {
    images: usize,
    width: usize,
    /// Of the numbers.
    bytes_in: usize,
    /// Of the images, a byte a value.
    bytes_out: usize,
    /// Mean over the images in dB, where the originals are given.
    psnr: Option<f64>,
    out: String,
}

pub fn decode(args: DecodeArgs) -> Result<ExitCode> {
    args.common.device.set_threads()?;
    let checkpoint = super::eval::checkpoint(&args.run, args.common.best, None)?;
    let Npy { dims, values } = npy::read(&args.codes)?;
    let count = if dims.len() == 1 { 1 } else { dims.first().copied().unwrap_or(0) };
    let originals: Vec<Vec<f32>> = args.originals.iter().map(|path| read(path, &checkpoint)).collect::<Result<_>>()?;
    let mut reconstructor = args.common.open(checkpoint, count)?;
    let width = reconstructor.width();
    if dims.is_empty() || dims.len() > 2 || dims.last() != Some(&width) {
        return Err(Error::data(format!(
            "{} holds {dims:?} numbers, but the run's network makes an image of {width}: it has to be [images, {width}], as \
             `gpunn encode` writes it with the same run.",
            args.codes.display()
        )));
    }
    if !originals.is_empty() && originals.len() != count {
        return Err(Error::usage(format!(
            "{} originals were given for {count} codes; give one for each, in their order.",
            originals.len()
        )));
    }
    let psnr = if originals.is_empty() { None } else { quality(&mut reconstructor, &values, &originals.concat())? };
    let pixels = gpunn::blocking::block_on(reconstructor.decode(&values))?;
    write(&pixels, reconstructor.shape(), &args.out)?;
    let bytes_in = values.len() * size_of::<f32>();
    let out = args.out.display().to_string();
    let decoded = Decoded { images: count, width, bytes_in, bytes_out: pixels.len(), psnr, out };
    if args.common.json {
        super::print_json(&decoded)?;
    } else {
        super::print_line(&format!(
            "images: {count}; {} as {width} floats each, {} as bytes{}",
            super::bytes(bytes_in),
            super::bytes(decoded.bytes_out),
            psnr.map_or_else(String::new, |psnr| format!("; PSNR {psnr:.2} dB"))
        ));
        super::print_line(&format!("in {}", decoded.out));
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes images of values from 0 to 1: one into a PNG file where the path says so, else into a folder by their numbers.
fn write(images: &[f32], shape: [usize; 3], out: &Path) -> Result<()> {
    let single = out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
    let mut images = images.chunks(shape.iter().product::<usize>().max(1));
    match images.len() {
        1 if single => {
            return images.next().map_or(Ok(()), |image| write_png(&drawn(image, shape)?, out));
        }
        count if single => {
            return Err(Error::usage(format!(
                "{count} images do not go into the one file {}; name a folder as --out.",
                out.display()
            )));
        }
        _ => std::fs::create_dir_all(out).map_err(Error::file("cannot make the folder", out))?,
    }
    for (number, image) in images.enumerate() {
        write_png(&drawn(image, shape)?, &out.join(format!("{number:04}.png")))?;
    }
    Ok(())
}

/// An image of one channel or three.
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
    drawn.ok_or_else(|| Error::data(format!("An image of {channels} channels cannot be written as PNG; 1 or 3 can.")))
}
