//! Shapes and element types of tensors.

use std::fmt;

/// The sizes of a tensor's axes, outermost first, in dense row-major order. An empty shape is a scalar with one
/// element.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// The shape with these axis sizes.
    pub fn new(dims: impl Into<Self>) -> Self {
        dims.into()
    }
    /// The axis sizes.
    pub fn dims(&self) -> &[usize] {
        &self.0
    }
    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }
    /// The number of elements: the product of the axis sizes, or the largest number if the product is larger.
    pub fn elements(&self) -> usize {
        self.0.iter().fold(1, |product, &size| product.saturating_mul(size))
    }
    /// The stride of each axis, in elements.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.rank()];
        for axis in (1..self.rank()).rev() {
            strides[axis - 1] = strides[axis] * self.0[axis];
        }
        strides
    }
    /// The shape as a matrix. The last axis gives the columns, all other axes the rows. A scalar is 1x1.
    pub fn as_matrix(&self) -> (usize, usize) {
        match self.0.split_last() {
            Some((&columns, rows)) => (rows.iter().product(), columns),
            None => (1, 1),
        }
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Self(dims.to_vec())
    }
}
impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Self {
        Self(dims)
    }
}
impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Self(dims.to_vec())
    }
}

/// Prints `64x1024`. A scalar prints as `scalar`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("scalar");
        }
        for (axis, size) in self.0.iter().enumerate() {
            if axis > 0 {
                f.write_str("x")?;
            }
            write!(f, "{size}")?;
        }
        Ok(())
    }
}
impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The type of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// 32-bit float: the type of every computed value.
    F32,
    /// 32-bit unsigned integer: labels, indices, group tables.
    U32,
    /// Byte: stored images. On the device, four bytes share a 32-bit word.
    U8,
}

impl DType {
    /// Bytes per element.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 | Self::U32 => 4,
            Self::U8 => 1,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::U32 => "u32",
            Self::U8 => "u8",
        })
    }
}

/// A tensor's shape and element type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// Axis sizes.
    pub shape: Shape,
    /// Element type.
    pub dtype: DType,
}

impl TensorType {
    /// A tensor of floats.
    pub fn f32(shape: impl Into<Shape>) -> Self {
        Self { shape: shape.into(), dtype: DType::F32 }
    }
    /// A tensor of unsigned integers.
    pub fn u32(shape: impl Into<Shape>) -> Self {
        Self { shape: shape.into(), dtype: DType::U32 }
    }
    /// A tensor of bytes.
    pub fn u8(shape: impl Into<Shape>) -> Self {
        Self { shape: shape.into(), dtype: DType::U8 }
    }
    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.shape.elements()
    }
    /// Its size in bytes, rounded up to whole 32-bit words.
    pub fn bytes(&self) -> usize {
        self.elements().saturating_mul(self.dtype.bytes()).div_ceil(4).saturating_mul(4)
    }
    /// The axis sizes.
    pub fn dims(&self) -> &[usize] {
        self.shape.dims()
    }
}

/// Prints `64x1024`. The element type follows if it is not f32.
impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dtype {
            DType::F32 => write!(f, "{}", self.shape),
            other => write!(f, "{} {other}", self.shape),
        }
    }
}
