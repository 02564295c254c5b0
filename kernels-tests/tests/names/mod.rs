//! The names that a shader declares, against the words that HLSL, MSL and GLSL reserve. naga renames those that it knows; one
//! that it does not know (DXC's namespace `dx` was one) fails to compile on the device of somebody else.

use std::collections::BTreeSet;

use naga::{Function, Module};

/// The words, with their sources.
const RESERVED: &str = include_str!("../../reserved-words.txt");

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

/// Checks that no name is a reserved word, as it stands or without the underscores at its end, which naga strips.
///
/// # Errors
/// A sentence with the names that are.
pub fn check(module: &Module) -> Result<(), String> {
    let reserved = reserved();
    assert!(reserved.len() > 500, "only {} reserved words", reserved.len());
    let wrong: Vec<&str> =
        declared(module).into_iter().filter(|name| reserved.contains(name.trim_end_matches('_'))).collect();
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!("reserved words as names: {}", wrong.join(", "))),
    }
}
