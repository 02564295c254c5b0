//! The files that `--out` and similar flags name, and the rows of CSV files. The ending of a name has to be that of the format that is written. Missing
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

/// A row of a CSV file (RFC 4180), with its end.
pub fn csv_row(fields: &[impl AsRef<str>]) -> String {
    let fields: Vec<String> = fields.iter().map(|field| quoted(field.as_ref())).collect();
    fields.join(",") + "\n"
}

/// A field of a CSV file.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_as_the_standard_says() {
        assert_eq!(csv_row(&["a b", "tench, fish", "5\" nail"]), "a b,\"tench, fish\",\"5\"\" nail\"\n");
    }
}
