//! Products of matrices in f32 on the CPU: the kernels of matrix products and convolutions. They are written with vectors of any width
//! ([`crate::ops::lanes`]). A product whose right matrix is stored along its columns is a sum of outer products ([`outer`]); one whose matrices are
//! both stored along the depth is made of inner products ([`inner`]).

mod gathered;
mod inner;
mod outer;
mod panels;
mod scratch;

pub(crate) use gathered::Gathered;
pub(crate) use inner::{Inner, Run, WHOLE};
pub(crate) use outer::{Columns, Copies, Left, Outer};
pub(crate) use panels::{PANEL, copy, pack, pack_into, turn};
pub(crate) use scratch::Scratch;

#[cfg(test)]
mod tests;
