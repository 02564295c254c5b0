//! The names that a shader declares, against the words that HLSL, MSL and GLSL reserve. naga renames those that it knows; one
//! that it does not know (DXC's namespace `dx` was one) fails to compile on the device of somebody else.

use std::collections::BTreeSet;

use naga::{Function, Module};

/// The words, with their sources.
const RESERVED: &str = include_str!("../../reserved-words.txt");

/// Words that FXC knows in any case: with strictness off it takes `Pass` for `pass`, with strictness on it refuses it (X3086). Its
/// effects add the names of shaders. The first eight are those that naga's authors found (`RESERVED_CASE_INSENSITIVE`).
const IN_ANY_CASE: [&str; 16] = [
    "asm",
    "decl",
    "pass",
    "technique",
    "texture1d",
    "texture2d",
    "texture3d",
    "texturecube",
    "technique10",
    "technique11",
    "compile",
    "stateblock",
    "pixelshader",
    "vertexshader",
    "geometryshader",
    "computeshader",
];

fn reserved() -> BTreeSet<&'static str> {
    RESERVED.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).collect()
}

/// All names of a module but that of its entry point: types, struct members, globals, constants, functions, arguments and
/// locals.
fn declared(module: &Module) -> BTreeSet<&str> {
    let mut names: Vec<&Option<String>> = Vec::new();
    for (_, ty) in module.types.iter() {
        names.push(&ty.name);
        if let naga::TypeInner::Struct { members, .. } = &ty.inner {
            names.extend(members.iter().map(|member| &member.name));
        }
    }
    names.extend(module.global_variables.iter().map(|(_, variable)| &variable.name));
    names.extend(module.constants.iter().map(|(_, constant)| &constant.name));
    let functions = || module.functions.iter().map(|(_, function)| function);
    names.extend(functions().map(|function| &function.name));
    let bodies = || functions().chain(module.entry_points.iter().map(|entry| &entry.function));
    names.extend(bodies().flat_map(|body| body.arguments.iter().map(|argument| &argument.name)));
    names.extend(bodies().flat_map(|body| body.local_variables.iter().map(|(_, variable)| &variable.name)));
    let lets = bodies().flat_map(|body: &Function| body.named_expressions.values());
    names.into_iter().flatten().chain(lets).map(String::as_str).collect()
}

/// Whether a name is of a form that a language reserves whole: two underscores anywhere (GLSL 3.7, C++ 2.10, of which MSL is one), one at
/// the beginning (C++, for names that any file can see), `gl_` (GLSL).
fn has_reserved_form(name: &str) -> bool {
    name.contains("__") || name.starts_with('_') || name.starts_with("gl_")
}

/// Checks that no name is a reserved word, as it stands or without the underscores at its end, which naga strips.
///
/// # Errors
/// A sentence with the names that are.
pub fn check(module: &Module) -> Result<(), String> {
    let reserved = reserved();
    assert!(reserved.len() > 750, "only {} reserved words", reserved.len());
    let is_reserved = |name: &&str| {
        let stripped = name.trim_end_matches('_');
        let any_case = IN_ANY_CASE.contains(&stripped.to_lowercase().as_str());
        any_case || reserved.contains(stripped) || has_reserved_form(name)
    };
    let wrong: Vec<&str> = declared(module).into_iter().filter(is_reserved).collect();
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!("reserved words as names: {}", wrong.join(", "))),
    }
}
