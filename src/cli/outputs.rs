//! The files that `--out` and similar flags name. The ending of a name has to be that of the format that is written. Missing
//! folders are made when the file is written ([`crate::files::AtomicFile::create`]).

use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};

/// A parser of the name of a file that is written in one format. A name without an ending is taken as it is.
pub fn ending(ending: &'static str) -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(move |path| match path.extension() {
        Some(own) if !own.eq_ignore_ascii_case(ending) => {
            Err(format!("the file is written as {ending}; choose a name that ends in .{ending}"))
        }
        _ => Ok(path),
    })
}

/// A parser of the name of an image file.
pub fn image() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| crate::images::check_name(&path).map(|()| path))
}
