//! Tests of kernels, gradients, memory, plans and portability. All files are one program, which compiles in less time than many.

mod check_finds;
mod executor;
mod fuzz;
#[path = "../../tests/common/fuzz.rs"]
mod fuzzing;
mod gradients;
mod half;
mod hlsl;
mod kept_kernels;
mod laboratory;
mod layout;
mod limits;
mod lost;
mod memory;
mod names;
mod networks;
mod nonfinite;
mod parity;
mod plans;
mod portability;
mod pytorch_values;
mod theory;
mod threads;
mod training;
mod webgpu_limits;

#[global_allocator]
static ALLOCATOR: fuzzing::Counting = fuzzing::Counting;
