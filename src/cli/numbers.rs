//! Numbers on the command line: parsers whose messages say what is needed, and negative values.

use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

/// A parser of whole numbers from `least`.
pub fn whole<T: TryFrom<u64>>(least: u64) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |word| {
        let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        match word.parse::<u64>() {
            Ok(number) if number >= least => T::try_from(number).map_err(|_| "the number is too large".into()),
            Err(_) if digits => Err("the number is too large".into()),
            _ => Err(format!("a whole number of at least {least} is needed")),
        }
    }
}

/// The most threads that are started: more than a machine has cores. Each of them takes memory.
const MOST_THREADS: usize = 1024;

/// Parses a number of threads.
pub fn threads(word: &str) -> Result<usize, String> {
    match whole::<usize>(1)(word)? {
        threads if threads <= MOST_THREADS => Ok(threads),
        _ => Err(format!("at most {MOST_THREADS} threads are started")),
    }
}

/// Parses a number of epochs: a whole number from 1, or one with a decimal point above 0.
pub fn epochs(word: &str) -> Result<f64, String> {
    if !word.contains('.') {
        return whole::<u32>(1)(word).map(f64::from);
    }
    let parsed = real(word).ok().filter(|epochs: &f64| *epochs > 0.0);
    parsed.ok_or_else(|| "a number above 0 is needed, as in 8 or 9.9".into())
}

/// Parses a time in minutes.
pub fn minutes(word: &str) -> Result<Duration, String> {
    let minutes = real::<f64>(word).ok().filter(|minutes| *minutes >= 0.0);
    let time = minutes.and_then(|minutes| Duration::try_from_secs_f64(60.0 * minutes).ok());
    time.ok_or_else(|| "a number of minutes is needed, as in 5 or 0.5".into())
}

/// Parses a number with a decimal point. The recipe checks its range.
pub fn real<T: FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| "a number is needed, as in 0.5 or 1e-3".into())
}

/// The arguments with each negative number joined to the flag before it, as in `--epochs=-1`. Otherwise clap takes `-1` for a
/// flag that it does not know, and its message does not say what is wrong with the number.
pub fn with_negative_numbers(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    let mut only_values = false;
    for arg in args {
        only_values |= arg == "--";
        match joined.last_mut().filter(|last| !only_values && is_flag(last) && is_negative(&arg)) {
            Some(flag) => {
                flag.push("=");
                flag.push(arg);
            }
            None => joined.push(arg),
        }
    }
    joined
}

fn is_flag(arg: &OsString) -> bool {
    arg.to_str().is_some_and(|arg| arg.len() > 2 && arg.starts_with("--") && !arg.contains('='))
}

/// Whether an argument begins like a negative number: also a list of several, or a size.
fn is_negative(arg: &OsString) -> bool {
    let rest = arg.to_str().and_then(|arg| arg.strip_prefix('-'));
    rest.is_some_and(|rest| rest.trim_start_matches('.').starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_numbers_belong_to_their_flags() {
        let joined = |line: &str| {
            let args = with_negative_numbers(line.split(' ').map(OsString::from));
            args.join(" ".as_ref()).into_string().expect("text")
        };
        let cases = [
            ("train --epochs -1 -q", "train --epochs=-1 -q"),
            ("train --lr -.5 --hidden -1,2", "train --lr=-.5 --hidden=-1,2"),
            ("train --out -run --lr=3 -1", "train --out -run --lr=3 -1"),
            ("predict run -- --x -1", "predict run -- --x -1"),
        ];
        for (line, wanted) in cases {
            assert_eq!(joined(line), wanted);
        }
    }

    #[test]
    fn a_wrong_number_is_answered_with_what_is_needed() {
        assert_eq!(whole::<u32>(1)("7"), Ok(7));
        for word in ["0", "-1", "3.5", "ten", "", "1e3"] {
            assert_eq!(whole::<u32>(1)(word).expect_err("refused"), "a whole number of at least 1 is needed", "{word}");
        }
        for word in ["4294967296", "99999999999999999999999"] {
            assert_eq!(whole::<u32>(1)(word).expect_err("refused"), "the number is too large");
        }
        assert_eq!(real::<f64>("1e-3"), Ok(1e-3));
        assert!(real::<f64>("0,5").is_err());
    }
}
