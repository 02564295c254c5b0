//! Two sizes, down and across.

/// A size down and a size across, written `3` where they are equal and `[3, 5]` where not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Pair(pub [usize; 2]);

impl Pair {
    /// 1 both ways.
    pub fn one() -> Self {
        Self([1; 2])
    }
    /// 0 both ways.
    pub fn zero() -> Self {
        Self([0; 2])
    }

    /// Refuses a size that is out of proportion to any image, which arithmetic on sizes could not hold.
    ///
    /// # Errors
    /// The part of a sentence that names it.
    pub(super) fn check(self, what: &str) -> Result<(), String> {
        match self.0.iter().find(|&&size| size > super::layer::MOST) {
            Some(size) => Err(format!("a {what} of {size} is more than {}", super::layer::MOST)),
            None => Ok(()),
        }
    }
}

impl From<usize> for Pair {
    fn from(size: usize) -> Self {
        Self([size; 2])
    }
}

/// `3x5`.
impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.0[0], self.0[1])
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(untagged, expecting = "a size must be a number, or two as in [3, 5]")]
enum Written {
    Both(usize),
    Each([usize; 2]),
}

impl From<Written> for Pair {
    fn from(written: Written) -> Self {
        match written {
            Written::Both(size) => size.into(),
            Written::Each(sizes) => Self(sizes),
        }
    }
}

impl From<Pair> for Written {
    fn from(Pair([down, across]): Pair) -> Self {
        if down == across { Self::Both(down) } else { Self::Each([down, across]) }
    }
}
