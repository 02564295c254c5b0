//! Two sizes: vertical and horizontal.

/// A vertical and a horizontal size, as in kernel height and width. In TOML `3` means both; `[3, 5]` gives each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(from = "SerializedPair", into = "SerializedPair")]
pub struct Pair(pub [usize; 2]);

impl Pair {
    /// 1 along both axes.
    pub fn one() -> Self {
        Self([1; 2])
    }
    /// 0 along both axes.
    pub fn zero() -> Self {
        Self([0; 2])
    }

    /// Checks that neither size is above the limit of a layer. Larger sizes could overflow later arithmetic.
    ///
    /// # Errors
    /// The reason, as part of a sentence. `what` names the size.
    pub(super) fn check(self, what: &str) -> Result<(), String> {
        match self.0.iter().find(|&&size| size > super::layer::MAX_SIZE) {
            Some(size) => Err(format!("a {what} of {size} is more than {}", super::layer::MAX_SIZE)),
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

/// A [`Pair`] as it is written in TOML.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(untagged, expecting = "a size must be a number, or two as in [3, 5]")]
enum SerializedPair {
    Both(usize),
    Each([usize; 2]),
}

impl From<SerializedPair> for Pair {
    fn from(written: SerializedPair) -> Self {
        match written {
            SerializedPair::Both(size) => size.into(),
            SerializedPair::Each(sizes) => Self(sizes),
        }
    }
}

impl From<Pair> for SerializedPair {
    fn from(Pair([vertical, horizontal]): Pair) -> Self {
        if vertical == horizontal { Self::Both(vertical) } else { Self::Each([vertical, horizontal]) }
    }
}
