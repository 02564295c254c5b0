//! The commands as functions, for a program that has the command line in it, such as the Python module. They take the words that
//! follow the command, as a user would write them, so that both doors have one list of settings and one set of sentences. What a
//! command says beside its result goes to a [`Listener`](super::streams::Listener).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{ArgAction, CommandFactory, Parser};

use super::engine::DeviceArgs;
use super::flags::{EnsembleArgs, EpochArgs};
use super::predict::inputs::{Source, sources};
use super::stop::StopFlag;
use super::{Cli, CliCommand, eval, export, report, train};
use crate::runs::{Observer, RunOutcome};
use crate::train::Checkpoint;
use crate::{Engine, Error, Result, gpu};

/// The flags that say how a result is printed. A function returns its result.
const OF_PRINTING: [&str; 2] = ["json", "help"];

/// The flags of the program alone: a function trains one run and returns it, and its caller watches it.
const OF_THE_PROGRAM: [&str; 2] = ["folds", "live"];

/// What a program gives for a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Yes or no.
    Switch(bool),
    /// The words of a flag's value.
    Text(OsString),
}

/// The settings of a command: its flags, with `_` for each `-`. A flag `--no-x` is the setting `x`, which is true unless it is given.
pub fn settings(command: &str) -> Vec<String> {
    flags(command).iter().map(|(name, _)| name.strip_prefix("no-").unwrap_or(name).replace('-', "_")).collect()
}

/// The long names of a command's flags, and whether each is a switch.
fn flags(command: &str) -> Vec<(String, bool)> {
    let all = Cli::command();
    let Some(command) = all.find_subcommand(command) else { return Vec::new() };
    let flag = |arg: &clap::Arg| Some((arg.get_long()?.to_owned(), matches!(arg.get_action(), ArgAction::SetTrue)));
    command.get_arguments().filter_map(flag).filter(|(name, _)| !is_left_out(name)).collect()
}

/// Whether a flag is no setting.
fn is_left_out(name: &str) -> bool {
    OF_PRINTING.contains(&name) || OF_THE_PROGRAM.contains(&name)
}

/// The words of a command line for settings of a command.
///
/// # Errors
/// [`Error::Usage`] for a setting that the command does not have, or that is no switch.
pub fn words(command: &str, given: &[(String, Value)]) -> Result<Vec<OsString>> {
    let flags = flags(command);
    let word = |(setting, value): &(String, Value)| {
        let name = setting.replace('_', "-");
        let without = format!("no-{name}");
        let found = flags.iter().find(|(flag, _)| *flag == name || *flag == without);
        let Some((flag, is_switch)) = found else {
            let known = settings(command);
            return Err(crate::error::unknown(
                "setting",
                setting,
                &known.iter().map(String::as_str).collect::<Vec<_>>(),
            ));
        };
        Ok(match value {
            Value::Switch(on) if *is_switch => (*on == (*flag == name)).then(|| format!("--{flag}").into()),
            Value::Text(_) if *is_switch => return Err(Error::usage(format!("{setting} has to be True or False."))),
            Value::Switch(true) => Some(format!("--{flag}").into()),
            Value::Switch(false) => Some(format!("--{flag}=false").into()),
            Value::Text(text) => {
                let mut word = OsString::from(format!("--{flag}="));
                word.push(text);
                Some(word)
            }
        })
    };
    let words: Vec<Option<OsString>> = given.iter().map(word).collect::<Result<_>>()?;
    Ok(words.into_iter().flatten().collect())
}

/// Parses the words of a command.
fn parse(command: &str, words: Vec<OsString>) -> Result<CliCommand> {
    let line = [OsString::from("gpunn"), command.into()].into_iter().chain(words);
    Cli::try_parse_from(line)
        .map(|cli| cli.command)
        .map_err(|error| Error::usage(sentence(&error.render().to_string())))
}

/// What clap says of an argument, without what is for a terminal.
fn sentence(said: &str) -> String {
    let said = said.strip_prefix("error: ").unwrap_or(said);
    let end = ["\n\nUsage:", "\n\nFor more information"].iter().filter_map(|tail| said.find(tail)).min();
    said[..end.unwrap_or(said.len())].split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The error for words that clap takes for another command, which cannot be.
fn other(command: &str) -> Error {
    Error::usage(format!("These are not the settings of {command}."))
}

/// A run that was trained.
#[derive(Debug)]
pub struct TrainedRun {
    /// The run directory.
    pub run: PathBuf,
    /// How the run ended.
    pub outcome: RunOutcome,
}

/// `gpunn train`, with its report. `stop` can be asked to stop the run; `watch` sees how far it is.
///
/// # Errors
/// As the program's.
pub fn train(words: Vec<OsString>, stop: StopFlag, watch: &mut dyn Observer) -> Result<TrainedRun> {
    let CliCommand::Train(args) = parse("train", words)? else { return Err(other("train")) };
    let train::Trained { run, outcome, lost, .. } = train::train(&args, move || stop, Some(watch))?;
    train::written(&lost)?;
    Ok(TrainedRun { run, outcome })
}

/// `gpunn eval`: the line that `--json` prints.
///
/// # Errors
/// As the program's.
pub fn evaluate(words: Vec<OsString>) -> Result<String> {
    let CliCommand::Eval(args) = parse("eval", words)? else { return Err(other("eval")) };
    super::json_line(&eval::evaluated(&args)?)
}

/// `gpunn export`: what the program says of the file.
///
/// # Errors
/// As the program's.
pub fn export(words: Vec<OsString>) -> Result<String> {
    let CliCommand::Export(args) = parse("export", words)? else { return Err(other("export")) };
    export::written(&args)
}

/// `gpunn report` of one run: the page.
///
/// # Errors
/// As the program's.
pub fn report(words: Vec<OsString>) -> Result<PathBuf> {
    let CliCommand::Report(args) = parse("report", words)? else { return Err(other("report")) };
    report::one(&args).map(|written| written.page)
}

/// Opens the device of this name, as `--device` does, and says which one unless `quiet`.
///
/// # Errors
/// When there is no such device, or it cannot be opened.
pub fn open_device(name: &str, quiet: bool) -> Result<Engine> {
    let args = DeviceArgs { device: name.into(), threads: None, despite_check: false };
    args.open(gpu::DeviceOptions::default(), quiet)
}

/// Sets the number of CPU threads, as `--threads` does. It has to be called before anything computes.
///
/// # Errors
/// When other threads are running already.
pub fn set_threads(count: usize) -> Result<()> {
    DeviceArgs { device: "cpu".into(), threads: Some(count), despite_check: false }.set_threads()
}

/// The checkpoint of a run directory, of the best epoch or the last one, or that of a file.
///
/// # Errors
/// When it cannot be read.
pub fn checkpoint(path: &Path, last: bool) -> Result<Checkpoint> {
    EpochArgs { last }.checkpoint(path)
}

/// As [`checkpoint`], and those of further runs, which answer together with the first one.
///
/// # Errors
/// As [`checkpoint`], and when their classes or images differ.
pub fn checkpoints(path: &Path, others: &[PathBuf], last: bool) -> Result<Vec<Checkpoint>> {
    let epoch = EpochArgs { last };
    EnsembleArgs { ensemble: others.to_vec() }.with(epoch.checkpoint(path)?, &epoch)
}

/// The image files that a path stands for: itself, all in a folder and its folders, or all that match a pattern.
///
/// # Errors
/// When there is none.
pub fn image_files(path: &Path) -> Result<Vec<PathBuf>> {
    let file = |source| match source {
        Source::File(path) => Ok(path),
        Source::Stdin(_) => Err(Error::usage("Standard input is only for the program. Give a path.")),
    };
    sources(&[path.to_owned()])?.into_iter().map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Value {
        Value::Text(value.into())
    }

    #[test]
    fn settings_are_the_flags() {
        let all = settings("train");
        for name in ["epochs", "recipe", "report", "reuse", "limit_train", "quiet", "tensorboard"] {
            assert!(all.iter().any(|known| known == name), "{name}: {all:?}");
        }
        assert!(!all.iter().any(|known| ["json", "help", "no_report", "live"].contains(&known.as_str())));
        let given = [("limit_train", text("5")), ("quiet", Value::Switch(true)), ("report", Value::Switch(false))];
        let given = given.map(|(name, value)| (name.to_owned(), value));
        assert_eq!(words("train", &given).expect("known"), ["--limit-train=5", "--quiet", "--no-report"]);
        let nothing = [("quiet", false), ("report", true)].map(|(name, on)| (name.to_owned(), Value::Switch(on)));
        assert!(words("train", &nothing).expect("known").is_empty());
        let off = [("cache_features".to_owned(), Value::Switch(false))];
        assert_eq!(words("train", &off).expect("known"), ["--cache-features=false"]);
    }

    #[test]
    fn unknown_settings_and_wrong_values_are_sentences() {
        let says = |name: &str, value: Value| {
            let words = words("train", &[(name.to_owned(), value)])?;
            parse("train", words).map(|_| String::new())
        };
        let error = says("epoch", text("3")).expect_err("unknown").to_string();
        assert!(error.starts_with("There is no setting `epoch`; did you mean `epochs`?"), "{error}");
        let error = says("quiet", text("3")).expect_err("a switch").to_string();
        assert_eq!(error, "quiet has to be True or False.");
        let error = says("batch_size", text("many")).expect_err("no number").to_string();
        assert!(error.contains("'many'") && error.contains("--batch-size") && !error.contains('\n'), "{error}");
        assert!(!error.contains("For more information") && !error.starts_with("error"), "{error}");
    }
}
