//! The values of tensors in a file, or in files beside it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

use half::{bf16, f16};

use crate::formats::onnx::{Tensor, element};
use crate::nn::operators::{Known, Numbers};

/// The values of a tensor. Floats of other sizes become 32-bit floats. `folder` is the file's folder, in which other files are.
///
/// # Errors
/// What is wrong with the tensor, as a clause.
pub fn read(tensor: &Tensor, folder: Option<&Path>) -> Result<Known, String> {
    let dims = tensor.dims.iter().map(|&size| usize::try_from(size)).collect::<Result<Vec<_>, _>>();
    let dims = dims.map_err(|_| format!("it has a negative size: {:?}", tensor.dims))?;
    let elements = dims.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
    let elements = elements.filter(|elements| elements.checked_mul(8).is_some());
    let elements = elements.ok_or_else(|| format!("{dims:?} are more elements than any file has"))?;
    let numbers = match tensor.data_location {
        0 if tensor.raw_data.is_empty() => from_lists(tensor, elements)?,
        0 => from_bytes(&tensor.raw_data, tensor.data_type, elements)?,
        _ => from_bytes(&external(tensor, elements, folder)?, tensor.data_type, elements)?,
    };
    Ok(Known { dims, numbers })
}

/// The name of a type, for messages.
pub fn type_name(data_type: i32) -> String {
    const NAMES: [&str; 24] = [
        "no type",
        "float",
        "uint8",
        "int8",
        "uint16",
        "int16",
        "int32",
        "int64",
        "text",
        "bool",
        "float16",
        "double",
        "uint32",
        "uint64",
        "complex64",
        "complex128",
        "bfloat16",
        "float8e4m3fn",
        "float8e4m3fnuz",
        "float8e5m2",
        "float8e5m2fnuz",
        "uint4",
        "int4",
        "float4e2m1",
    ];
    let name = usize::try_from(data_type).ok().and_then(|index| NAMES.get(index));
    name.map_or_else(|| format!("type {data_type}"), |name| (*name).to_owned())
}

/// The number of bytes of so many elements. `None` for types that are not read.
fn bytes_of(data_type: i32, elements: usize) -> Option<usize> {
    Some(match data_type {
        element::UINT4 | element::INT4 => elements.div_ceil(2),
        element::UINT8 | element::INT8 | element::BOOL => elements,
        element::UINT16 | element::INT16 | element::FLOAT16 | element::BFLOAT16 => elements * 2,
        element::FLOAT | element::INT32 | element::UINT32 => elements * 4,
        element::DOUBLE | element::INT64 | element::UINT64 => elements * 8,
        _ => return None,
    })
}

fn not_read(data_type: i32) -> String {
    format!("elements of type {} are not supported", type_name(data_type))
}

/// Numbers from little-endian bytes.
fn from_bytes(bytes: &[u8], data_type: i32, elements: usize) -> Result<Numbers, String> {
    let wanted = bytes_of(data_type, elements).ok_or_else(|| not_read(data_type))?;
    if bytes.len() != wanted {
        return Err(format!("it has {} bytes, but its shape needs {wanted}", bytes.len()));
    }
    fn each<const N: usize, T>(bytes: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
        bytes.as_chunks().0.iter().map(|&chunk| number(chunk)).collect()
    }
    let nibbles = |sign: i64| {
        let both = bytes.iter().flat_map(|&byte| [byte & 15, byte >> 4]).take(elements);
        both.map(|nibble| (i64::from(nibble) ^ sign) - sign).collect()
    };
    Ok(match data_type {
        element::FLOAT => Numbers::Floats(each(bytes, f32::from_le_bytes)),
        element::FLOAT16 => Numbers::Floats(each(bytes, |word| f16::from_le_bytes(word).to_f32())),
        element::BFLOAT16 => Numbers::Floats(each(bytes, |word| bf16::from_le_bytes(word).to_f32())),
        element::DOUBLE => Numbers::Floats(each(bytes, |word| f64::from_le_bytes(word) as f32)),
        element::INT64 => Numbers::Ints(each(bytes, i64::from_le_bytes)),
        element::UINT64 => Numbers::Ints(each(bytes, |word| u64::from_le_bytes(word) as i64)),
        element::INT32 => Numbers::Ints(each(bytes, |word| i32::from_le_bytes(word).into())),
        element::UINT32 => Numbers::Ints(each(bytes, |word| u32::from_le_bytes(word).into())),
        element::INT16 => Numbers::Ints(each(bytes, |word| i16::from_le_bytes(word).into())),
        element::UINT16 => Numbers::Ints(each(bytes, |word| u16::from_le_bytes(word).into())),
        element::INT8 => Numbers::Ints(each(bytes, |word| i8::from_le_bytes(word).into())),
        element::UINT8 | element::BOOL => Numbers::Ints(bytes.iter().map(|&byte| byte.into()).collect()),
        element::UINT4 => Numbers::Ints(nibbles(0)),
        element::INT4 => Numbers::Ints(nibbles(8)),
        _ => return Err(not_read(data_type)),
    })
}

/// Numbers from the list for the type.
fn from_lists(tensor: &Tensor, elements: usize) -> Result<Numbers, String> {
    let data_type = tensor.data_type;
    bytes_of(data_type, elements).ok_or_else(|| not_read(data_type))?;
    let halves = |number: fn(u16) -> f32| tensor.int32_data.iter().map(|&bits| number(bits as u16)).collect();
    let numbers = match data_type {
        element::FLOAT => Numbers::Floats(tensor.float_data.clone()),
        element::DOUBLE => Numbers::Floats(tensor.double_data.iter().map(|&value| value as f32).collect()),
        element::FLOAT16 => Numbers::Floats(halves(|bits| f16::from_bits(bits).to_f32())),
        element::BFLOAT16 => Numbers::Floats(halves(|bits| bf16::from_bits(bits).to_f32())),
        element::INT64 => Numbers::Ints(tensor.int64_data.clone()),
        element::UINT32 | element::UINT64 => {
            Numbers::Ints(tensor.uint64_data.iter().map(|&value| value as i64).collect())
        }
        element::UINT4 | element::INT4 => {
            let bytes: Vec<u8> = tensor.int32_data.iter().map(|&value| value as u8).collect();
            return from_bytes(&bytes, data_type, elements);
        }
        _ => Numbers::Ints(tensor.int32_data.iter().map(|&value| value.into()).collect()),
    };
    let count = match &numbers {
        Numbers::Ints(values) => values.len(),
        Numbers::Floats(values) => values.len(),
    };
    match count == elements {
        true => Ok(numbers),
        false => Err(format!("it has {count} values, but its shape needs {elements}")),
    }
}

/// The bytes of a tensor in another file of the same folder.
fn external(tensor: &Tensor, elements: usize, folder: Option<&Path>) -> Result<Vec<u8>, String> {
    let entry =
        |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
    let number = |key: &str| {
        let parsed = entry(key).map(str::parse::<u64>).transpose();
        parsed.map_err(|_| format!("its {key} in the other file is not a number"))
    };
    let location = entry("location").ok_or("it is in another file, but does not say in which")?;
    let folder = folder.ok_or("it is in another file, and there is no folder in which to look")?;
    let within = Path::new(location).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let outside = || format!("it is in `{location}`, which is not in the folder of the ONNX file");
    if !within || location.is_empty() {
        return Err(outside());
    }
    let cannot = |error: std::io::Error| format!("its file `{location}` cannot be read: {error}");
    // A link could lead out of the folder.
    let (home, path) = (folder.canonicalize().map_err(cannot)?, folder.join(location).canonicalize().map_err(cannot)?);
    if !path.starts_with(&home) {
        return Err(outside());
    }
    let wanted = bytes_of(tensor.data_type, elements).ok_or_else(|| not_read(tensor.data_type))? as u64;
    let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?.unwrap_or(wanted));
    // A pipe would be waited for when it is opened.
    let metadata = std::fs::metadata(&path).map_err(cannot)?;
    let end = offset.checked_add(length);
    if length != wanted || !metadata.is_file() || end.is_none_or(|end| end > metadata.len()) {
        return Err(format!(
            "its {wanted} bytes are not those from {offset} on, {length} long, of `{location}`, which has {}",
            metadata.len()
        ));
    }
    let mut file = File::open(&path).map_err(cannot)?;
    let mut bytes = vec![0; wanted as usize];
    file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes)).map_err(cannot)?;
    Ok(bytes)
}
