//! Changes of files and texts, those of structure among them: hostile lengths, sums that are right again.

use crate::common::fuzz::Dice;

/// Lengths and counts that are at an edge of some type.
pub const HOSTILE: [u64; 12] =
    [0, 1, 2, 0x7f, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 40, 1 << 63, u64::MAX];

/// A hostile number as bytes of 1, 2, 4 or 8, of either order.
fn hostile(dice: &mut Dice) -> Vec<u8> {
    let value = *dice.one_of(&HOSTILE);
    let width = *dice.one_of(&[1, 2, 4, 8]);
    if dice.once_in(2) { value.to_le_bytes()[..width].to_vec() } else { value.to_be_bytes()[8 - width..].to_vec() }
}

/// Changes bytes, mostly in the first or last 400, which hold lengths and types; cuts; repeats or removes a part.
pub fn bytes(whole: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..=dice.below(4) {
        let near = bytes.len().min(400);
        let place = match dice.below(6) {
            0 => bytes.len() - near + dice.below(near),
            1 | 2 => dice.below(bytes.len()),
            _ => dice.below(near),
        };
        match dice.below(9) {
            0 => bytes.truncate(place),
            1 => {
                let end = (place + dice.below(64)).min(bytes.len());
                let part = bytes[place.min(end)..end].to_vec();
                bytes.splice(place..place, part);
            }
            2 => {
                let end = (place + dice.below(64)).min(bytes.len());
                bytes.drain(place.min(end)..end);
            }
            3 | 4 => {
                let value = hostile(dice);
                let end = (place + value.len()).min(bytes.len());
                bytes.splice(place.min(end)..end, value);
            }
            _ => {
                let other = dice.below(256) as u8;
                let value = *dice.one_of(&[0, 1, 0x7f, 0x80, 0xff, other]);
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = value;
                }
            }
        }
    }
    bytes
}

/// Numbers and words that are probably not expected.
const VALUES: [&str; 24] = [
    "0",
    "1",
    "2",
    "3",
    "7",
    "64",
    "-1",
    "65535",
    "65536",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "1e308",
    "-0.5",
    "nan",
    "inf",
    "true",
    "\"x\"",
    "[]",
    "[1, 2, 3]",
    "1e-30",
    "null",
];

/// Changes the values of keys, removes and repeats lines. A value follows `separator`: `= ` in TOML, `:` in JSON.
pub fn text(text: &str, separator: &str, dice: &mut Dice) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..=dice.below(3) {
        if lines.is_empty() {
            break;
        }
        let place = dice.below(lines.len());
        match dice.below(8) {
            0 => drop(lines.remove(place)),
            1 => lines.insert(place, lines[dice.below(lines.len())].clone()),
            _ => value(&mut lines[place], separator, dice),
        }
    }
    let end = if text.ends_with('\n') { "\n" } else { "" };
    lines.join("\n") + end
}

/// Changes a value of a line, or the number or word after it in a list.
fn value(line: &mut String, separator: &str, dice: &mut Dice) {
    let breaks = [separator, "[", ","];
    let starts = |sign: &&str| line.match_indices(*sign).map(|(at, sign)| at + sign.len()).collect::<Vec<_>>();
    // Most are values of keys: a list of thousands of numbers would hide them.
    let of_keys = starts(&separator);
    let starts = if of_keys.is_empty() || dice.once_in(3) { breaks.iter().flat_map(starts).collect() } else { of_keys };
    if !starts.is_empty() {
        let start = *dice.one_of(&starts);
        let rest = &line[start..];
        let end = start + rest.find([',', ' ', '}', ']']).unwrap_or(rest.len());
        line.replace_range(start..end, dice.one_of::<&str>(&VALUES));
    }
}

/// Changes the header of a safetensors file: JSON with the shapes, and a checkpoint's metadata as JSON and TOML in it. The tensors stay.
pub fn header(file: &[u8], dice: &mut Dice) -> Vec<u8> {
    let (length, rest) = file.split_first_chunk::<8>().expect("a header");
    let (header, tensors) = rest.split_at(u64::from_le_bytes(*length) as usize);
    // The recipe's lines are ends of lines in a text that is quoted twice.
    const END: &str = "\\\\n";
    let header = String::from_utf8_lossy(header).replace(END, "\n");
    let separator = *dice.one_of(&["= ", ":"]);
    let header = text(&header, separator, dice).replace('\n', END);
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), tensors].concat()
}

/// Gives the chunks of a PNG the sums that they should have, so that a change is read and not refused.
pub fn png_sums(png: &mut [u8]) {
    let mut at = 8;
    while let Some(length) = png.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_be_bytes) {
        let end = at + 8 + length as usize;
        let Some(sum) = png.get(at + 4..end).map(crc32) else { return };
        let Some(place) = png.get_mut(end..end + 4) else { return };
        place.copy_from_slice(&sum.to_be_bytes());
        at = end + 4;
    }
}

/// Removes the sums of the files in a zip archive: a sum of 0 is not compared.
pub fn no_zip_sums(zip: &mut [u8]) {
    for at in 0..zip.len().saturating_sub(20) {
        if zip[at..].starts_with(b"PK\x01\x02") {
            zip[at + 16..at + 20].fill(0);
        }
    }
}

/// The checksum of gzip, zip and PNG.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
