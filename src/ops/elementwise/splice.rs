//! Renders a [`Program`] as WGSL: for the kernel of a fused chain, or as the epilogue of another kernel.

use std::fmt::Write as _;

use super::program::Pattern;
use crate::graph::kernel::{Kernel, word};
use crate::graph::{Argument, Program};

/// The WGSL code of a program and the words that it adds to the kernel's `Dims`.
pub(crate) struct Splice {
    /// Definitions of the functions that it calls, and of `fn element(a0: f32, ...) -> f32`, which runs the whole
    /// program.
    functions: String,
    /// The fields that are added to `Dims`.
    fields: String,
    /// The values of these fields.
    pub words: Vec<u32>,
    /// The program's part of the kernel's label.
    pub label: String,
}

impl Splice {
    /// Renders the program as a function `element` with `operands` arguments.
    pub fn new(program: &Program, operands: usize) -> Self {
        let mut splice =
            Self { functions: String::new(), fields: String::new(), words: Vec::new(), label: program.label() };
        let mut files: Vec<&str> = Vec::new();
        let mut body = String::new();
        for (index, call) in program.calls.iter().enumerate() {
            if !files.contains(&call.function.wgsl()) {
                files.push(call.function.wgsl());
            }
            let mut arguments: Vec<String> = call.arguments.iter().map(|&argument| name(argument)).collect();
            for (number, value) in call.function.parameters().into_iter().enumerate() {
                let field = format!("p{index}_{number}");
                arguments.push(format!("dims.{field}"));
                splice.word(&field, "f32", value.to_bits());
            }
            let _ = writeln!(body, "    let t{index} = {}({});", call.function.function(), arguments.join(", "));
        }
        let result = match program.calls.len() {
            0 => "a0".to_owned(),
            calls => format!("t{}", calls - 1),
        };
        let parameters: Vec<String> = (0..operands).map(|i| format!("a{i}: f32")).collect();
        for file in files {
            splice.functions.push_str(file);
        }
        let _ = writeln!(
            splice.functions,
            "\nfn element({}) -> f32 {{\n{body}    return {result};\n}}",
            parameters.join(", ")
        );
        splice
    }

    fn word(&mut self, field: &str, ty: &str, value: u32) {
        let _ = writeln!(self.fields, "    {field}: {ty},");
        self.words.push(value);
    }

    /// The WGSL expression that reads an operand for the output element `index`.
    fn read(&mut self, operand: usize, pattern: Pattern, count: usize, index: &str) -> String {
        if pattern.is_full(count) {
            return format!("x{operand}[{index}]");
        }
        if pattern.len == 1 {
            return format!("x{operand}[0]");
        }
        self.word(&format!("len{operand}"), "u32", (pattern.len / pattern.row) as u32);
        if pattern.inner == 1 {
            return format!("x{operand}[{index} % dims.len{operand}]");
        }
        self.word(&format!("inner{operand}"), "u32", word(pattern.inner));
        let row = format!("({index} / dims.inner{operand}) % dims.len{operand}");
        if pattern.row == 1 {
            return format!("x{operand}[{row}]");
        }
        self.word(&format!("row{operand}"), "u32", word(pattern.row));
        format!("x{operand}[({row}) * dims.row{operand} + {index} % dims.row{operand}]")
    }

    /// Splices the program into another kernel as its epilogue. Operand 0 is the value. The other operands are
    /// `extras`, which are bound before the output. A kernel may know the channel of its values. Then operands of the pattern `channels`
    /// are read without a division for each value.
    pub fn into_epilogue(
        mut self,
        kernel: Kernel,
        extras: &[Pattern],
        count: usize,
        channels: Pattern,
    ) -> (Kernel, Vec<u32>) {
        if self.label.is_empty() {
            return (kernel, Vec::new());
        }
        let of_channel = "fn epilogue(value: f32, index: u32, channel: u32) -> f32";
        let knows_channel = kernel.wgsl.contains(of_channel);
        let signature = if knows_channel { of_channel } else { "fn epilogue(value: f32, index: u32) -> f32" };
        let mut arguments = vec!["value".to_owned()];
        for (number, &pattern) in extras.iter().enumerate() {
            let by_channel = knows_channel && pattern == channels && pattern.len > 1 && !pattern.is_full(count);
            let read = if by_channel {
                format!("x{}[channel]", number + 1)
            } else {
                self.read(number + 1, pattern, count, "index")
            };
            arguments.push(read);
        }
        let code = format!("{signature} {{ return element({}); }}", arguments.join(", "));
        let types = vec!["f32"; extras.len()];
        let point = format!("{signature} {{ return value; }} // spliced");
        let functions = std::mem::take(&mut self.functions);
        let kernel = bind_operands(kernel, &self.fields, 1, &types).splice(&point, &format!("{functions}{code}"));
        (Kernel { label: format!("{} + {}", kernel.label, self.label), ..kernel }, self.words)
    }

    /// Splices the program into `shaders/elementwise.wgsl`. `in_place` is the operand that shares its memory with the
    /// output. With `vector`, the kernel computes four elements at once.
    pub fn into_chain(
        mut self,
        kernel: Kernel,
        patterns: &[Pattern],
        count: usize,
        in_place: Option<usize>,
        vector: bool,
    ) -> (Kernel, Vec<u32>) {
        let mut loads = String::new();
        let mut types = Vec::new();
        for (number, &pattern) in patterns.iter().enumerate() {
            let wide = vector && pattern.inner == 1 && pattern.len > 1;
            let read = match (in_place == Some(number), wide, vector) {
                (true, ..) => "y[index]".to_owned(),
                (false, true, _) => {
                    let quarter = Pattern { inner: 1, len: pattern.len / 4, row: 1 };
                    self.read(number, quarter, count / 4, "index")
                }
                // One element serves all four: a scalar, or an operand whose inner axes are a multiple of four.
                (false, false, true) => self.read(number, pattern, count, "(4u * index)"),
                (false, false, false) => self.read(number, pattern, count, "index"),
            };
            let _ = writeln!(loads, "    let a{number} = {read};");
            if in_place != Some(number) {
                types.push(if wide { "vec4f" } else { "f32" });
            }
        }
        let arguments = |component: &str| {
            let of = |(number, pattern): (usize, &Pattern)| {
                let wide = pattern.inner == 1 && pattern.len > 1;
                format!("a{number}{}", if wide { component } else { "" })
            };
            patterns.iter().enumerate().map(of).collect::<Vec<_>>().join(", ")
        };
        let result = if vector {
            let all = [".x", ".y", ".z", ".w"].map(|c| format!("element({})", arguments(c)));
            format!("Value({})", all.join(", "))
        } else {
            format!("element({})", arguments(""))
        };
        let code = format!("fn value_at(index: u32) -> Value {{\n{loads}    return {result};\n}}");
        let names: Vec<usize> = (0..patterns.len()).filter(|i| in_place != Some(*i)).collect();
        let functions = std::mem::take(&mut self.functions);
        let mut kernel = bind_named(kernel, &self.fields, &names, &types)
            .splice("fn value_at(index: u32) -> Value { return Value(); } // spliced", &format!("{functions}{code}"));
        if vector {
            kernel = kernel.splice("alias Value = f32;", "alias Value = vec4f;");
        }
        let place = in_place.map_or(String::new(), |i| format!(" over a{i}"));
        let wide = if vector { " x4" } else { "" };
        (Kernel { label: format!("{}{wide}{place}", self.label), ..kernel }, self.words)
    }
}

fn name(argument: Argument) -> String {
    match argument {
        Argument::Operand(i) => format!("a{i}"),
        Argument::Call(i) => format!("t{i}"),
    }
}

fn bind_operands(kernel: Kernel, fields: &str, first: usize, types: &[&str]) -> Kernel {
    let names: Vec<usize> = (first..first + types.len()).collect();
    bind_named(kernel, fields, &names, types)
}

/// Adds bindings before the output's binding, which is the last, and fields at the end of `Dims`.
fn bind_named(kernel: Kernel, fields: &str, names: &[usize], types: &[&str]) -> Kernel {
    let output = kernel.bindings.len();
    let from = format!("@group(0) @binding({output}) ");
    let mut to = String::new();
    for (offset, (name, ty)) in names.iter().zip(types).enumerate() {
        let _ = writeln!(to, "@group(0) @binding({}) var<storage, read> x{name}: array<{ty}>;", output + offset);
    }
    let _ = write!(to, "@group(0) @binding({}) ", output + names.len());
    let kernel = kernel.splice(&from, &to);
    if fields.is_empty() {
        return kernel;
    }
    let start = kernel.wgsl.find("struct Dims {").expect("the kernel declares Dims");
    let end = start + kernel.wgsl[start..].find('}').expect("Dims ends");
    Kernel { wgsl: format!("{}{fields}{}", &kernel.wgsl[..end], &kernel.wgsl[end..]), ..kernel }
}
