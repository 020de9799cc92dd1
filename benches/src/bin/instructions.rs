//! Counts the instructions of a whole review under callgrind, and compares them with the committed figures.
//!
//! ```text
//! instructions compare        every case against benches/instructions.txt; exit code 1 if one has grown by more than 3 %
//! instructions record         writes that file
//! instructions run ERA CASE   one case, to be run under valgrind (also for a profile)
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use benches::{Case, cases, injector, review};
use injector::boxed::{ALL, Boxed};
use injector::{Injector, Reviewed};

/// How much a case may grow before it counts as a regression, in hundredths.
const TOLERANCE: f64 = 3.0;
/// Reviews counted in one run, so that what is done once does not show.
const REPEATED: u64 = 20;

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("usage: instructions compare | record | run ERA CASE")]
    Usage,
    #[error("cannot load the injector in the box")]
    Load(#[from] injector::config::Error),
    #[error("cannot start valgrind; install it")]
    Valgrind(#[source] std::io::Error),
    #[error("valgrind printed no count for {0}:\n{1}")]
    Count(String, String),
    #[error("cannot use {0}")]
    File(PathBuf, #[source] std::io::Error),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["run", era, case] => run(era, case).map(|()| true),
        ["record"] => record().map(|()| true),
        ["compare"] => compare(),
        _ => Err(Error::Usage),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error}");
            let mut source = std::error::Error::source(&error);
            while let Some(error) = source {
                eprintln!("  because: {error}");
                source = error.source();
            }
            ExitCode::from(2)
        }
    }
}

/// What callgrind is told to look at.
#[inline(never)]
fn measured(injector: &Injector, body: &[u8]) -> Reviewed {
    injector.review_uncached(std::hint::black_box(body), "/inject")
}

fn run(era: &str, name: &str) -> Result<(), Error> {
    let boxed = Boxed::named(era).ok_or(Error::Usage)?;
    let injector = injector(&boxed)?;
    let case: Case = cases().into_iter().find(|case| case.name == name).ok_or(Error::Usage)?;
    let body = review(&case.pod, "705ab4f5-6393-11e8-b7cc-42010a800002");
    // The first one also builds what is built once.
    std::hint::black_box(injector.review_uncached(&body, "/inject"));
    for _ in 0..REPEATED {
        std::hint::black_box(measured(&injector, &body));
    }
    Ok(())
}

/// Instructions of one review.
fn count(era: &str, case: &str) -> Result<u64, Error> {
    let program = std::env::current_exe().map_err(Error::Valgrind)?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*instructions::measured*"])
        .arg(program)
        .args(["run", era, case])
        .output()
        .map_err(Error::Valgrind)?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let collected = text.lines().find_map(|line| line.split("Collected :").nth(1)?.trim().parse::<u64>().ok());
    match collected {
        Some(all) if all > 0 && output.status.success() => Ok(all / REPEATED),
        _ => Err(Error::Count(format!("{era}/{case}"), text)),
    }
}

fn count_all() -> Result<BTreeMap<String, u64>, Error> {
    let mut counts = BTreeMap::new();
    for boxed in &ALL {
        for case in cases() {
            counts.insert(format!("{}/{}", boxed.name, case.name), count(boxed.name, case.name)?);
        }
    }
    Ok(counts)
}

fn baseline() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.txt")
}

fn record() -> Result<(), Error> {
    let mut text = String::from("# Instructions of one whole review, by `instructions record`. ERA/CASE COUNT\n");
    for (name, count) in count_all()? {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name} {count}");
    }
    std::fs::write(baseline(), &text).map_err(|error| Error::File(baseline(), error))?;
    print!("{text}");
    Ok(())
}

fn compare() -> Result<bool, Error> {
    let text = std::fs::read_to_string(baseline()).map_err(|error| Error::File(baseline(), error))?;
    let before: BTreeMap<&str, u64> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, count)| Some((name, count.parse().ok()?)))
        .collect();
    let mut held = true;
    for (name, now) in count_all()? {
        let verdict = match before.get(name.as_str()) {
            None => {
                held = false;
                "not in the committed figures: run `instructions record`".to_owned()
            }
            Some(&then) => {
                let growth = (now as f64 / then as f64 - 1.0) * 100.0;
                held &= growth <= TOLERANCE;
                let word = if growth > TOLERANCE {
                    "MORE THAN ALLOWED"
                } else if growth < -TOLERANCE {
                    "less: worth recording"
                } else {
                    "as before"
                };
                format!("{growth:+.1} % of {then}, {word}")
            }
        };
        println!("{name:24} {now:>12}  {verdict}");
    }
    Ok(held)
}
