//! Files of published datasets and of NumPy. Lengths are wrong before the files are compressed, so that they are read.

use std::io::{Read, Write};
use std::path::Path;

use gpunn::datasets::{LoadOptions, load_with};
use gpunn::formats::cifar::{self, CifarLayout};
use gpunn::formats::npy::{self, Npy};
use gpunn::formats::{idx, mat, tar_gz, tfrecord};

use super::change;
use crate::common::files::{gzip, idx as idx_file};
use crate::common::fuzz::{Dice, Fuzz};

/// Writes files into a folder of this name and loads the dataset of this name.
fn load(directory: &Path, name: &str, files: &[(&str, Vec<u8>)]) {
    let folder = directory.join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    for (file, bytes) in files {
        std::fs::write(folder.join(file), bytes).expect("written");
    }
    let _ = load_with(name, Some(directory), &LoadOptions { cache: None, ..LoadOptions::default() });
}

/// An element of a MAT file. Its type or its length may be wrong, and it may be stored in its tag.
fn element(kind: u32, body: &[u8], dice: &mut Dice) -> Vec<u8> {
    let kind = if dice.once_in(25) { dice.below(20) as u32 } else { kind };
    let length = if dice.once_in(25) { *dice.one_of(&change::HOSTILE) as u32 } else { body.len() as u32 };
    if body.len() <= 4 && dice.once_in(2) {
        let tag = kind | length << 16;
        return [&tag.to_le_bytes(), body, &vec![0; 4 - body.len()]].concat();
    }
    let padding = vec![0; body.len().next_multiple_of(8) - body.len()];
    [&kind.to_le_bytes(), &length.to_le_bytes(), body, &padding].concat()
}

/// The element of an array of bytes, compressed or not.
fn array(name: &str, dims: &[usize], bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut words: Vec<u32> = dims.iter().map(|&dim| dim as u32).collect();
    if dice.once_in(12) {
        let place = dice.below(words.len());
        words[place] = *dice.one_of(&change::HOSTILE) as u32;
    }
    if dice.once_in(25) {
        words.push(*dice.one_of(&change::HOSTILE) as u32);
    }
    let class = if dice.once_in(25) { dice.below(256) as u8 } else { 9 };
    let dims: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let flags = element(6, &[class, 0, 0, 0, 0, 0, 0, 0], dice);
    let (dims, name) = (element(5, &dims, dice), element(1, name.as_bytes(), dice));
    // The stored type of elements may be any; the class of the array does not say it.
    let kind = if dice.once_in(12) { *dice.one_of(&[1, 3, 4, 5, 7, 9, 12, 13]) } else { 2 };
    let matrix = [flags, dims, name, element(kind, bytes, dice)].concat();
    let mut matrix = element(14, &matrix, dice);
    if dice.once_in(8) {
        matrix = change::bytes(&matrix, dice);
    }
    if dice.once_in(2) {
        return matrix;
    }
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&matrix).expect("writing to memory");
    element(15, &packed.finish().expect("writing to memory"), dice)
}

#[test]
fn mat() {
    let Some(fuzz) = Fuzz::alone("fuzz::datasets::mat") else { return };
    let directory = tempfile::tempdir().expect("a folder");
    fuzz.inputs(
        |dice| {
            let images = dice.below(4);
            let pixels: Vec<u8> = (0..images * 1024).map(|_| dice.below(256) as u8).collect();
            let (labels, shape) = match dice.below(3) {
                0 => ((0..images).map(|_| dice.below(28) as u8).collect::<Vec<_>>(), [images, 1]),
                1 => ((0..images).map(|_| dice.below(28) as u8).collect(), [1, images]),
                _ => ((0..images * 26).map(|place| u8::from(place / images == place % images)).collect(), [images, 26]),
            };
            let mut file = [vec![b' '; 124], vec![0, 1, b'I', b'M']].concat();
            file.extend(array("train_data", &[images, 1024], &pixels, dice));
            file.extend(array("train_labels", &shape, &labels, dice));
            if dice.once_in(4) { change::bytes(&file, dice) } else { file }
        },
        |bytes| {
            if let Ok(arrays) = mat::parse(&bytes, "it") {
                assert!(arrays.iter().all(|array| array.values.len() == array.dims.iter().product::<usize>()));
            }
            load(directory.path(), "nist26", &[("nist26_train.mat", bytes)]);
        },
    );
}

#[test]
fn idx() {
    let Some(fuzz) = Fuzz::alone("fuzz::datasets::idx") else { return };
    let directory = tempfile::tempdir().expect("a folder");
    fuzz.inputs(
        |dice| {
            let mut file = |dims: &[u32], most: usize| {
                let mut dims = dims.to_vec();
                let bytes: Vec<u8> = (0..dims.iter().product::<u32>()).map(|_| dice.below(most) as u8).collect();
                if dice.once_in(8) {
                    let place = dice.below(dims.len());
                    dims[place] = *dice.one_of(&change::HOSTILE) as u32;
                }
                let mut file = idx_file(&dims, &bytes);
                if dice.once_in(6) {
                    file = change::bytes(&file, dice);
                }
                let packed = if dice.once_in(2) { gzip(&file) } else { file };
                if dice.once_in(12) { change::bytes(&packed, dice) } else { packed }
            };
            [file(&[2, 28, 28], 256), file(&[2], 11), file(&[1, 28, 28], 256), file(&[1], 10)]
        },
        |files| {
            for bytes in &files {
                if let Ok(array) = idx::parse(bytes, "it") {
                    assert_eq!(array.bytes.len(), array.dims.iter().product::<usize>());
                }
            }
            let names = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"];
            let names = names.map(|name| format!("{name}-ubyte"));
            let named: Vec<_> = names.iter().map(String::as_str).zip(files).collect();
            load(directory.path(), "mnist", &named);
        },
    );
}

#[test]
fn numpy() {
    let Some(fuzz) = Fuzz::alone("fuzz::datasets::numpy") else { return };
    fuzz.inputs(
        |dice| {
            let dims = vec![dice.below(4), dice.below(4)];
            let values = (0..dims.iter().product::<usize>()).map(|value| value as f32).collect();
            let mut bytes = Npy { dims, values }.to_bytes();
            if dice.once_in(2) {
                let header = String::from_utf8_lossy(&bytes[10..128]).into_owned();
                let header = change::text(&header, dice.one_of::<&str>(&["(", ", ", ": "]), dice);
                bytes.splice(10..128, header.into_bytes());
            }
            if dice.once_in(2) { change::bytes(&bytes, dice) } else { bytes }
        },
        |bytes| {
            if let Ok(array) = npy::parse(&bytes, "it") {
                assert_eq!(array.values.len(), array.dims.iter().product::<usize>());
            }
        },
    );
}

/// A tar archive whose headers may be wrong, but have their sums.
fn tar(files: &[(&str, Vec<u8>)], dice: &mut Dice) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_path(name).expect("a short name");
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        if dice.once_in(8) {
            header.set_size(*dice.one_of(&change::HOSTILE));
        }
        if dice.once_in(8) {
            // Long names, links, sparse files and extended headers among them.
            header.set_entry_type(tar::EntryType::new(*dice.one_of(b"0123456LKSxgX7\0")));
        }
        if dice.once_in(8) {
            let place = dice.below(512);
            header.as_mut_bytes()[place] = dice.below(256) as u8;
        }
        header.set_cksum();
        tar.extend(header.as_bytes());
        tar.extend(bytes);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

#[test]
fn archives() {
    let Some(fuzz) = Fuzz::alone("fuzz::datasets::archives") else { return };
    let directory = tempfile::tempdir().expect("a folder");
    let layout = CifarLayout { records: 2, labels: 1, classes: 10 };
    let seeds = tar_seeds();
    fuzz.inputs(
        |dice| {
            if dice.once_in(100) {
                return dice.one_of(&seeds).clone();
            }
            let mut batch: Vec<u8> = (0..layout.bytes()).map(|place| place as u8 % 10).collect();
            if dice.once_in(3) {
                batch = change::bytes(&batch, dice);
            }
            let names = (0..10).map(|class| format!("class {class}\n")).collect::<String>().into_bytes();
            let folder = "cifar-10-batches-bin";
            let [first, test, meta] =
                ["data_batch_1.bin", "test_batch.bin", "batches.meta.txt"].map(|name| format!("{folder}/{name}"));
            let tar = tar(&[(&meta, names), (&first, batch.clone()), (&test, batch)], dice);
            let packed = gzip(&if dice.once_in(8) { change::bytes(&tar, dice) } else { tar });
            if dice.once_in(8) { change::bytes(&packed, dice) } else { packed }
        },
        |bytes| {
            let path = directory.path().join("cifar-10-binary.tar.gz");
            std::fs::write(&path, bytes).expect("written");
            let (mut pixels, mut classes) = (Vec::new(), Vec::new());
            let _ = tar_gz::each(&path, "cifar-10-batches-bin", |name, content| {
                let mut bytes = Vec::new();
                content.take(1 << 20).read_to_end(&mut bytes).map_err(|error| tar_gz::damaged(&path, &error))?;
                cifar::parse(&bytes, layout, name, &mut pixels, &mut classes)
            });
            assert_eq!(pixels.len(), classes.len() * cifar::PIXELS);
            let _ =
                load_with("cifar10", Some(directory.path()), &LoadOptions { cache: None, ..LoadOptions::default() });
        },
    );
}

/// Archives of little that say or unpack to much: the name or the extended header of a file is a gigabyte.
fn tar_seeds() -> Vec<Vec<u8>> {
    let seed = |kind: u8| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_size(1 << 30);
        header.set_cksum();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let zeros = vec![b'a'; 1 << 20];
        packed.write_all(header.as_bytes()).expect("writing to memory");
        (0..1024).for_each(|_| packed.write_all(&zeros).expect("writing to memory"));
        packed.finish().expect("writing to memory")
    };
    b"Lx".map(seed).to_vec()
}

#[test]
fn records() {
    let Some(fuzz) = Fuzz::alone("fuzz::datasets::records") else { return };
    fuzz.inputs(
        |dice| {
            let mut bytes = Vec::new();
            for _ in 0..dice.below(4) {
                let length = dice.below(40);
                bytes.extend(tfrecord::record(&vec![dice.below(256) as u8; length]));
            }
            if dice.once_in(3) {
                // A length whose sum is right: the beginning of a record of so many bytes.
                let length = dice.one_of(&change::HOSTILE).to_le_bytes();
                let sum = tfrecord::record(&length);
                bytes.extend([&length[..], &sum[20..]].concat());
            }
            if dice.once_in(2) { change::bytes(&bytes, dice) } else { bytes }
        },
        |bytes| drop(tfrecord::parse(&bytes, "it")),
    );
}
