//! The directory of a zip archive whose files are stored without compression, as `torch.save` writes it.

use std::collections::BTreeMap;
use std::ops::Range;

use crc::{CRC_32_ISO_HDLC, Crc};

/// The signatures of the records.
const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const END64: &[u8] = b"PK\x06\x06";
const LOCATOR64: &[u8] = b"PK\x06\x07";
/// The lengths of their fixed parts.
const LOCAL_LENGTH: usize = 30;
const CENTRAL_LENGTH: usize = 46;
const END_LENGTH: usize = 22;
const LOCATOR64_LENGTH: usize = 20;
/// The longest comment after the end record.
const MAX_COMMENT: usize = 0xffff;
/// A value that stands in the 64-bit extra field instead.
const IN_EXTRA: u64 = 0xffff_ffff;
/// The identifier of that field.
const EXTRA64: u64 = 1;

/// The files in an archive by their names.
#[derive(Debug)]
pub(super) struct Archive<'a> {
    bytes: &'a [u8],
    members: BTreeMap<&'a str, Member>,
}

/// The directory's entry of a file.
#[derive(Clone, Copy, Debug)]
struct Member {
    encrypted: bool,
    method: u64,
    crc: u32,
    length: u64,
    /// The place of its local header.
    header: u64,
}

impl<'a> Archive<'a> {
    /// Whether bytes begin as an archive does.
    pub fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(LOCAL)
    }

    /// Reads the directory. The error is a clause.
    pub fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let members = directory(bytes)
            .ok_or("its zip directory is damaged; the file may have been cut short, or has two files of one name")?;
        Ok(Self { bytes, members })
    }

    /// The names of all files.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.members.keys().copied()
    }

    /// The place of a file's bytes in the archive. The error is a clause.
    pub fn place(&self, name: &str) -> Result<Range<usize>, String> {
        let member = self.members.get(name).ok_or_else(|| format!("it has no `{name}`"))?;
        if member.encrypted || member.method != 0 {
            return Err(format!(
                "`{name}` in it is compressed or encrypted, but torch.save stores it as it is; load and save the file again \
                 with PyTorch"
            ));
        }
        self.body(member).ok_or_else(|| format!("`{name}` in it is damaged or cut short"))
    }

    /// A file's bytes, whose checksum is compared. The error is a clause.
    pub fn checked(&self, name: &str) -> Result<&'a [u8], String> {
        let bytes = &self.bytes[self.place(name)?];
        let stated = self.members.get(name).map_or(0, |member| member.crc);
        // PyTorch can be told to compute no checksums; then they are 0.
        match stated == 0 || Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(bytes) == stated {
            true => Ok(bytes),
            false => Err(format!("`{name}` in it does not have its checksum; the file is damaged")),
        }
    }

    fn body(&self, member: &Member) -> Option<Range<usize>> {
        let header = usize::try_from(member.header).ok()?;
        let fixed = part(self.bytes, header, LOCAL_LENGTH)?;
        // The local header has its own name and extra field, which pads the file to an alignment.
        let variable = number::<2>(fixed, 26)? + number::<2>(fixed, 28)?;
        let start = header + LOCAL_LENGTH + variable as usize;
        let body = part(self.bytes, start, usize::try_from(member.length).ok()?)?;
        fixed.starts_with(LOCAL).then(|| start..start + body.len())
    }
}

/// Reads the central directory. `None` if it is damaged.
fn directory(bytes: &[u8]) -> Option<BTreeMap<&str, Member>> {
    let end = end_record(bytes)?;
    let mut at = usize::try_from(directory_start(bytes, end)?).ok()?;
    let mut members = BTreeMap::new();
    while bytes.get(at..)?.starts_with(CENTRAL) {
        let fixed = part(bytes, at, CENTRAL_LENGTH)?;
        let [name, extra, comment] = [28, 30, 32].map(|place| number::<2>(fixed, place));
        let (name, extra, comment) = (name? as usize, extra? as usize, comment? as usize);
        let name_at = at + CENTRAL_LENGTH;
        let text = std::str::from_utf8(part(bytes, name_at, name)?).ok()?;
        // Two files of one name: which of them is read would depend on the reader.
        if members.insert(text, member(fixed, part(bytes, name_at + name, extra)?)?).is_some() {
            return None;
        }
        at = name_at + name + extra + comment;
    }
    Some(members)
}

/// The place of the end record: the last one whose comment ends with the file.
fn end_record(bytes: &[u8]) -> Option<usize> {
    let last = bytes.len().checked_sub(END_LENGTH)?;
    (last.saturating_sub(MAX_COMMENT)..=last).rev().find(|&at| {
        let comment = || number::<2>(bytes, at + 20).map(|comment| at + END_LENGTH + comment as usize);
        bytes[at..].starts_with(END) && comment() == Some(bytes.len())
    })
}

/// The place of the central directory: from the 64-bit end record if there is one.
fn directory_start(bytes: &[u8], end: usize) -> Option<u64> {
    let locator = end.checked_sub(LOCATOR64_LENGTH).map(|at| &bytes[at..end]);
    match locator.filter(|locator| locator.starts_with(LOCATOR64)) {
        Some(locator) => {
            let record = part(bytes, usize::try_from(number::<8>(locator, 8)?).ok()?, 56)?;
            record.starts_with(END64).then(|| number::<8>(record, 48))?
        }
        None => number::<4>(bytes, end + 16),
    }
}

fn member(fixed: &[u8], extra: &[u8]) -> Option<Member> {
    let mut wide = extra64(extra).chunks_exact(8).map(|value| number::<8>(value, 0));
    // The extra field has only those of these values that do not fit, in this order.
    let mut value = |place: usize| match number::<4>(fixed, place)? {
        IN_EXTRA => wide.next()?,
        value => Some(value),
    };
    let (length, packed, header) = (value(24)?, value(20)?, value(42)?);
    let method = number::<2>(fixed, 10)?;
    let crc = number::<4>(fixed, 16)? as u32;
    (method != 0 || packed == length).then_some(Member {
        encrypted: number::<2>(fixed, 8)? & 1 == 1,
        method,
        crc,
        length,
        header,
    })
}

/// The content of the 64-bit extra field; empty if there is none.
fn extra64(mut extra: &[u8]) -> &[u8] {
    while let (Some(kind), Some(length)) = (number::<2>(extra, 0), number::<2>(extra, 2)) {
        let Some(content) = part(extra, 4, length as usize) else { break };
        if kind == EXTRA64 {
            return content;
        }
        extra = &extra[4 + content.len()..];
    }
    &[]
}

fn part(bytes: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(length)?)
}

/// A number of `N` bytes in little-endian order.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let mut whole = [0; 8];
    whole[..N].copy_from_slice(part(bytes, at, N)?);
    Some(u64::from_le_bytes(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of files stored without compression.
    fn archive(names: [&str; 2]) -> Vec<u8> {
        let (mut files, mut central) = (Vec::new(), Vec::new());
        for name in names {
            let length = [name.len() as u8, 0];
            let place = (files.len() as u32).to_le_bytes();
            files.extend([LOCAL, &[0; 22], &length, &[0; 2], name.as_bytes()].concat());
            central.extend([CENTRAL, &[0; 24], &length, &[0; 12], &place, name.as_bytes()].concat());
        }
        let place = (files.len() as u32).to_le_bytes();
        [&files, &central, END, &[0; 12], &place, &[0; 2]].concat()
    }

    #[test]
    fn two_files_of_one_name_are_refused() {
        let bytes = archive(["a/data.pkl", "b/data.pkl"]);
        assert_eq!(Archive::read(&bytes).expect("whole").names().collect::<Vec<_>>(), ["a/data.pkl", "b/data.pkl"]);
        let bytes = archive(["a/data.pkl", "a/data.pkl"]);
        assert!(Archive::read(&bytes).expect_err("twice").contains("two files of one name"));
    }
}
