//! Structs that Rust and WGSL both declare.

use std::mem::{offset_of, size_of};

use gpunn::ops::{Step, StepGroup};
use naga::{ArraySize, ScalarKind, TypeInner, VectorSize};

/// WGSL's `vec4u`.
type Four = [u32; 4];
/// WGSL's `array<vec4f, 8>`.
type Groups = [StepGroup; 8];

/// Name, type and offset of each field. It does not compile unless all fields are there and have these types.
macro_rules! fields {
    ($($field:ident: $ty:ident),* $(,)?) => {{
        let Step { $($field),* } = Step::new(0, 0, 0);
        $(let _: $ty = $field;)*
        [$((stringify!($field).to_owned(), stringify!($ty), offset_of!(Step, $field))),*]
    }};
}

/// The step's numbers have the same names, order, types and offsets in `ops::Step` and in `shaders/lib/step.wgsl`.
#[test]
fn step_is_laid_out_as_in_wgsl() {
    let mut rust = fields! {
        number: u32,
        first: u32,
        valid: u32,
        epoch: u32,
        seed_low: u32,
        seed_high: u32,
        correction1: f32,
        correction2: f32,
        inverse_valid: f32,
        lookahead: f32,
        share: f32,
        blend: f32,
        hole: Four,
        row_offset: u32,
        rows: u32,
        inverse_rows: f32,
        part: u32,
        groups: Groups,
    };
    rust.sort_by_key(|(_, _, offset)| *offset);

    let module = naga::front::wgsl::parse_str(include_str!("../../shaders/lib/step.wgsl")).expect("it is WGSL");
    let step = module.types.iter().map(|(_, ty)| ty).find(|ty| ty.name.as_deref() == Some("Step")).expect("a Step");
    let TypeInner::Struct { members, span } = &step.inner else { panic!("Step is no struct") };
    let wgsl: Vec<_> = members
        .iter()
        .map(|member| {
            let ty = match module.types[member.ty].inner {
                TypeInner::Scalar(scalar) if scalar.width == 4 && scalar.kind == ScalarKind::Uint => "u32",
                TypeInner::Scalar(scalar) if scalar.width == 4 && scalar.kind == ScalarKind::Float => "f32",
                TypeInner::Vector { size: VectorSize::Quad, scalar } if scalar.kind == ScalarKind::Uint => "Four",
                TypeInner::Array { size: ArraySize::Constant(size), stride: 16, .. } if size.get() == 8 => "Groups",
                _ => "another type",
            };
            (member.name.clone().unwrap_or_default(), ty, member.offset as usize)
        })
        .collect();
    assert_eq!(wgsl, rust);
    assert_eq!(*span as usize, size_of::<Step>());
    assert_eq!(size_of::<StepGroup>(), 16);
    assert!(size_of::<Step>() <= Step::STRIDE);
}
