//! What a review costs beside the reading of its bytes: a Markdown table of times, their ratios to
//! `serde_json::from_slice::<serde_json::Value>` of the same bytes, and the allocations of each review.
//!
//! ```text
//! ratios [ROUNDS]   101 rounds unless told otherwise; exit code 1 if a ratio is above what it may be
//! ```
//!
//! Everything is measured in turns within one run, a short burst each, and the medians of the rounds are shown: other
//! work on the machine then falls on all alike. See `README.md`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::process::ExitCode;

use allocation_counter::AllocationInfo;
use apimachinery::value::{Value, json};
use benches::{injector, large, review};
use injector::Injector;
use injector::boxed::MODERN;

/// Rounds if the command line says nothing.
const ROUNDS: usize = 101;
/// How long a burst of one case lasts at least, in nanoseconds.
const BURST: u128 = 400_000;
/// Pods of one ReplicaSet that arrive one after the other.
const SIBLINGS: usize = 64;
/// Environment variables of the pods that show how cost grows.
const GROWTH: [usize; 6] = [0, 250, 500, 1000, 2000, 4000];
const PATH: &str = "/inject";
/// How often the ordinary pod's answer has to be the same bytes.
const RENDERINGS: usize = 10_000;

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("usage: ratios [ROUNDS]")]
    Usage,
    #[error("cannot load the injector in the box")]
    Load(#[from] injector::config::Error),
    #[error("{0}: not a review of a pod with a container and a uid")]
    Body(String),
    #[error("{0}: the pod is not injected, so there is nothing to measure")]
    NotInjected(String),
    #[error("rendering {0} of {RENDERINGS} gave other bytes than the first")]
    OtherBytes(usize),
    #[error("the clock stands still")]
    Clock,
}

fn main() -> ExitCode {
    match run() {
        Ok((table, hold)) => {
            print!("{table}");
            if hold { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
            eprintln!("ratios: {error}{cause}");
            ExitCode::from(2)
        }
    }
}

/// One thing to measure.
struct Case {
    name: String,
    /// Environment variables, where cost is shown to grow with them.
    variables: Option<usize>,
    /// The most that it may cost, as a ratio to reading the bytes.
    target: Option<f64>,
    /// What is measured; in turn, so that the next pod has another uid each time.
    bodies: Vec<Vec<u8>>,
    what: What,
    /// Nanoseconds per call, one figure a round.
    times: Vec<f64>,
}

#[derive(Clone, Copy)]
enum What {
    /// `serde_json::from_slice::<serde_json::Value>`; the following cases are compared with it.
    Read,
    /// A review whose answer is not kept from an earlier pod.
    NeverSeen,
    /// A review after another pod of the same ReplicaSet.
    Next,
}

/// The table, and whether all ratios hold.
fn run() -> Result<(String, bool), Error> {
    let rounds = match std::env::args().nth(1) {
        None => ROUNDS,
        Some(text) => text.parse().ok().filter(|rounds| *rounds > 0).ok_or(Error::Usage)?,
    };
    let injector = injector(&MODERN)?;
    let (ordinary, origin) = ordinary();
    same_bytes(&injector, &ordinary)?;
    let mut cases = Vec::new();
    for (pod, variables, never_seen, next) in [("ordinary", 0, 25.0, 2.0), ("1000 env", 1000, 4.0, 1.5)] {
        let body = with_env(&ordinary, variables)?;
        let case = |name: &str, what, target| Case::new(format!("{pod}{name}"), None, target, vec![body.clone()], what);
        cases.push(case(": read", What::Read, None));
        cases.push(case(", never seen", What::NeverSeen, Some(never_seen)));
        let bodies = (0..SIBLINGS).map(|number| sibling(&body, number)).collect::<Result<_, _>>()?;
        let name = format!("{pod}, next of its ReplicaSet");
        cases.push(Case::new(name, None, Some(next), bodies, What::Next));
    }
    for variables in GROWTH {
        let body = with_env(&ordinary, variables)?;
        let name = format!("{variables} env");
        cases.push(Case::new(format!("{name}: read"), None, None, vec![body.clone()], What::Read));
        cases.push(Case::new(name, Some(variables), None, vec![body], What::NeverSeen));
    }
    for case in &cases {
        case.check(&injector)?;
    }
    for _ in 0..rounds {
        for case in &mut cases {
            let time = case.burst(&injector)?;
            case.times.push(time);
        }
    }
    Ok(table(&cases, &injector, rounds, &origin))
}

/// Without the answers that are kept, one body is answered with the same bytes each time.
fn same_bytes(injector: &Injector, body: &[u8]) -> Result<(), Error> {
    let first = injector.review_uncached(body, PATH).body;
    match (1..RENDERINGS).find(|_| injector.review_uncached(body, PATH).body != first) {
        Some(number) => Err(Error::OtherBytes(number + 1)),
        None => Ok(()),
    }
}

/// The body of an ordinary pod's review, and where it is from: the shared one if it is there.
fn ordinary() -> (Vec<u8>, String) {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/istio/data-real/perf/env0-v1.json");
    let compact = |text: Vec<u8>| Some(serde_json::from_slice::<Value>(&text).ok()?.to_string().into_bytes());
    match std::fs::read(shared).ok().and_then(compact) {
        Some(body) => (body, "the shared `perf/env0-v1.json`, environment variables added to it".to_owned()),
        None => (review(&large::ordinary(), "705ab4f5-6393-11e8-b7cc-42010a800002"), "a generated pod".to_owned()),
    }
}

/// The review with so many environment variables in the pod's first container.
fn with_env(body: &[u8], variables: usize) -> Result<Vec<u8>, Error> {
    let bad = || Error::Body("ordinary".to_owned());
    let mut review: Value = serde_json::from_slice(body).map_err(|_| bad())?;
    let container = review.pointer_mut("/request/object/spec/containers/0").and_then(Value::as_object_mut);
    if variables > 0 {
        let all: Vec<Value> = (0..variables)
            .map(|n| json!({ "name": format!("APP_SETTING_{n:04}"), "value": format!("value-{n:04}") }))
            .collect();
        container.ok_or_else(bad)?.insert("env".to_owned(), all.into());
    }
    Ok(review.to_string().into_bytes())
}

/// The review of another pod of the same owner: another uid, another name of the token volume.
fn sibling(body: &[u8], number: usize) -> Result<Vec<u8>, Error> {
    let bad = || Error::Body("next of its ReplicaSet".to_owned());
    let mut review: Value = serde_json::from_slice(body).map_err(|_| bad())?;
    let uid = review.pointer_mut("/request/uid").ok_or_else(bad)?;
    *uid = format!("705ab4f5-6393-11e8-b7cc-4201{number:08}").into();
    rename_token_volume(&mut review, &format!("kube-api-access-{:05}", number % 100_000));
    Ok(review.to_string().into_bytes())
}

/// Gives the token volume another name wherever a string is its name.
fn rename_token_volume(value: &mut Value, to: &str) {
    match value {
        Value::String(text) if text.starts_with("kube-api-access-") => *text = to.into(),
        Value::Array(items) => items.iter_mut().for_each(|item| rename_token_volume(item, to)),
        Value::Object(members) => members.values_mut().for_each(|member| rename_token_volume(member, to)),
        _ => {}
    }
}

impl Case {
    fn new(name: String, variables: Option<usize>, target: Option<f64>, bodies: Vec<Vec<u8>>, what: What) -> Self {
        Self { name, variables, target, bodies, what, times: Vec::new() }
    }

    fn call(&self, injector: &Injector, number: usize) {
        let body = black_box(self.bodies[number % self.bodies.len()].as_slice());
        match self.what {
            What::Read => drop(black_box(serde_json::from_slice::<serde_json::Value>(body))),
            What::NeverSeen => drop(black_box(injector.review_uncached(body, PATH))),
            What::Next => drop(black_box(injector.review(body, PATH))),
        }
    }

    /// Each body gets a patch; what is kept is kept now.
    fn check(&self, injector: &Injector) -> Result<(), Error> {
        for body in &self.bodies {
            let kept = injector.review(body, PATH).body;
            let answer: Value = serde_json::from_slice(&kept).map_err(|_| Error::NotInjected(self.name.clone()))?;
            if answer.pointer("/response/patch").is_none() || injector.review_uncached(body, PATH).body != kept {
                return Err(Error::NotInjected(self.name.clone()));
            }
        }
        Ok(())
    }

    /// Nanoseconds per call over one burst.
    #[expect(clippy::disallowed_methods, reason = "what is measured here is the machine's time")]
    fn burst(&self, injector: &Injector) -> Result<f64, Error> {
        self.call(injector, 0);
        let mut calls = 0_u32;
        let began = std::time::Instant::now();
        loop {
            self.call(injector, calls as usize);
            calls += 1;
            let took = began.elapsed().as_nanos();
            if took >= BURST {
                return Ok(took as f64 / f64::from(calls));
            }
            if calls == u32::MAX {
                return Err(Error::Clock);
            }
        }
    }

    fn median(&self) -> f64 {
        median(self.times.clone())
    }

    fn allocations(&self, injector: &Injector) -> AllocationInfo {
        self.call(injector, 0);
        allocation_counter::measure(|| self.call(injector, 1))
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The cases beside the reading that each is compared with, which stands before them.
fn table(cases: &[Case], injector: &Injector, rounds: usize, origin: &str) -> (String, bool) {
    let (mut read, mut hold) = (None, true);
    let least = cases.iter().find(|case| case.variables == Some(0)).map_or(f64::NAN, |case| case.median() / 1000.0);
    let (mut whole, mut growth) = (String::new(), String::new());
    for case in cases {
        if matches!(case.what, What::Read) {
            read = Some(case);
            continue;
        }
        let Some(read) = read else { continue };
        let ratios = case.times.iter().zip(&read.times).map(|(time, read)| time / read).collect();
        let (time, ratio, allocated) = (case.median() / 1000.0, median(ratios), case.allocations(injector));
        let (bytes, reading) = (case.bodies[0].len(), read.median() / 1000.0);
        let (count, total) = (allocated.count_total, allocated.bytes_total);
        // Writing to a String cannot fail.
        let _ = match case.variables {
            None => {
                let target = case.target.unwrap_or(f64::NAN);
                hold &= ratio <= target;
                let verdict = if ratio <= target { "holds" } else { "ABOVE" };
                writeln!(
                    whole,
                    "| {} | {bytes} | {reading:.1} | {time:.1} | {ratio:.2} | {target} | {verdict} | {count} | {total} |",
                    case.name
                )
            }
            Some(variables) => {
                let each = if variables == 0 {
                    "-".to_owned()
                } else {
                    format!("{:.0}", (time - least) * 1000.0 / variables as f64)
                };
                writeln!(
                    growth,
                    "| {variables} | {bytes} | {reading:.1} | {time:.1} | {ratio:.2} | {each} | {count} | {total} |"
                )
            }
        };
    }
    let text = format!(
        "{RENDERINGS} renderings of the ordinary pod gave the same bytes.\n\n\
         Medians of {rounds} rounds in turns; the bodies: {origin}. The answer's bytes from the request's bytes.\n\n\
         | review | bytes | `Value` of them, us | review, us | ratio | at most | | allocations | bytes allocated |\n\
         |---|---|---|---|---|---|---|---|---|\n{whole}\n\
         Never seen, by environment variables:\n\n\
         | env | bytes | `Value` of them, us | review, us | ratio | ns per variable beyond 0 env | allocations | bytes allocated |\n\
         |---|---|---|---|---|---|---|---|\n{growth}"
    );
    (text, hold)
}
