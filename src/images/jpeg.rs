//! What the markers of a JPEG file say, where the decoder does not: whether the file is whole, and whether its scans are of a kind
//! that is decoded correctly. The markers are those of ITU-T T.81, table B.1.

const BASELINE: u8 = 0xc0;
const EXTENDED: u8 = 0xc1;
const START_OF_SCAN: u8 = 0xda;
const RESTART_INTERVAL: u8 = 0xdd;
const END_OF_IMAGE: u8 = 0xd9;

/// Why the decoder would give a wrong image for a JPEG file, if that is known.
///
/// The decoder fills the missing part of a truncated file with grey. It mixes up the blocks of a sequential file that has several
/// scans, if components are subsampled vertically, if there are restart intervals, or if a scan has several components, but not
/// all of them. Compared with libjpeg-turbo 2.1.5 (`cjpeg -scans`, `djpeg`) for 6 samplings and 4 scan scripts, with and without
/// restart intervals; progressive files are decoded correctly.
pub fn fault(bytes: &[u8]) -> Option<&'static str> {
    let header = Header::read(bytes);
    match header {
        None => Some("the JPEG was cut short"),
        Some(header) if header.is_mixed_up() => Some(
            "it is a sequential JPEG with a scan for each component, which is not decoded correctly here; save it again as a usual \
             JPEG or as PNG",
        ),
        Some(_) => None,
    }
}

/// What stands before the first scan.
#[derive(Debug, Default)]
struct Header {
    /// Whether the file is sequential: baseline or extended.
    sequential: bool,
    /// Horizontal and vertical sampling factor of each component.
    sampling: Vec<[u8; 2]>,
    /// Whether restart markers divide the scans.
    restarts: bool,
    /// Components in the first scan.
    first_scan: usize,
}

impl Header {
    /// Reads the segments up to the first scan. `None` if the file ends before the end-of-image marker that follows this scan. A
    /// thumbnail has its own marker, in an earlier segment, which is skipped.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut header = Self::default();
        let mut at = 2;
        loop {
            let &[0xff, marker, high, low] = bytes.get(at..at + 4)? else { return None };
            // Padding bytes of 0xff may precede a marker.
            if marker == 0xff {
                at += 1;
                continue;
            }
            let length = usize::from(u16::from_be_bytes([high, low]));
            let segment = bytes.get(at + 4..at + 2 + length)?;
            match marker {
                START_OF_SCAN => {
                    header.first_scan = usize::from(*segment.first()?);
                    let ends = bytes[at..].windows(2).any(|pair| pair == [0xff, END_OF_IMAGE]);
                    return ends.then_some(header);
                }
                // All frame headers, without the other markers of this range: DHT, JPG and DAC.
                0xc0..=0xcf if ![0xc4, 0xc8, 0xcc].contains(&marker) => {
                    header.sequential = marker == BASELINE || marker == EXTENDED;
                    header.sampling =
                        segment.get(6..)?.chunks_exact(3).map(|part| [part[1] >> 4, part[1] & 15]).collect();
                }
                RESTART_INTERVAL => header.restarts = segment.iter().any(|&byte| byte != 0),
                _ => {}
            }
            at += 2 + length;
        }
    }

    fn is_mixed_up(&self) -> bool {
        let several_scans = self.first_scan < self.sampling.len();
        let vertical = self.sampling.iter().any(|&[_, v]| v != 1);
        let horizontal = self.sampling.iter().any(|&[h, _]| h != 1);
        self.sequential && several_scans && (self.restarts || vertical || (horizontal && self.first_scan > 1))
    }
}
