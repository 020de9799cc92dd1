//! Replaying a capture log.
//!
//! ```text
//! flow (read, pace, work on all cores, results in order) ──► target: direct | admission ──► replayed
//!   │                                                          └─► wire: a URL, the injector here, what was recorded
//!   └──► state: how far it has come, for going on after a kill
//! ```
//! Records are held only while they are under way, so memory does not grow with the log.

mod admission;
mod direct;
mod flow;
mod hide;
mod latency;
mod pace;
mod replayed;
mod source;
mod state;
mod stop;
mod target;
#[cfg(test)]
mod tests;
mod traced;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

pub use admission::{Admission, Meta, MetaError, Place, SetupError};
pub use direct::Direct;
pub use hide::Hide;
pub use latency::Latency;
pub use pace::Pace;
pub use replayed::{Counts, Replayed};
pub use source::{Log, OpenError, Position, Problem, Shard};
pub use state::{Identity, Kept, State, StateError};
pub use stop::Stop;
pub use target::{Subject, Target, Verdict, Worker};
pub use traced::{Traced, Tracer, Which};
pub use wire::{Webhook, injector_path};

pub(crate) use flow::{Job, Plan, Step, Work, flow};
pub(crate) use wire::{Asked, Heard, Wire, judge};

use crate::cluster::Pending;

/// How to replay.
#[derive(Debug)]
pub struct Options {
    /// Requests under way at once; at least 1.
    pub concurrency: usize,
    /// How many of them one task takes along, a stage of each at a time; at least 1. More than 1 is faster where all is done in
    /// this process and nothing waits for anybody.
    pub abreast: usize,
    /// How often each log is replayed; at least 1.
    pub repeat: u64,
    /// When records are sent.
    pub pace: Pace,
    /// Which part of the log is replayed.
    pub shard: Shard,
    /// Where to keep how far it has come.
    pub state: Option<State>,
    /// Who is told what admission did with single requests, if the target knows ([`Admission::with_traces`]).
    pub trace: Option<Arc<Tracer>>,
    /// Takes secrets out of what is told and kept; without it webhooks' messages are shown as they are.
    pub hide: Option<Arc<Hide>>,
    /// Ends it early: what is under way is finished, and the result says that it is not whole.
    pub stop: Stop,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrency: 8,
            abreast: 1,
            repeat: 1,
            pace: Pace::Fast,
            shard: Shard { index: 0, of: 1 },
            state: None,
            trace: None,
            hide: None,
            stop: Stop::default(),
        }
    }
}

/// Why a replay could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The state file cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// All is done, but the state file cannot say so.
    #[error("{source}")]
    Unkept {
        /// Why not.
        source: StateError,
        /// The result.
        replayed: Box<Replayed>,
    },
}

/// How far a replay has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Reviews that are done.
    pub reviews: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Lines that could not be read.
    pub unreadable: u64,
    /// Bytes of the logs, as they lie there, that have been read.
    pub bytes: u64,
}

/// Replays logs, one after the other, at a target. `progress` is told now and then how far it has come.
///
/// # Errors
/// A log cannot be opened, the state file not be used. Whatever is wrong inside a log, or with a request, is in the result.
pub async fn replay(
    logs: &[Log],
    target: Arc<dyn Target>,
    options: &Options,
    progress: impl Fn(Progress) + Send,
) -> Result<Replayed, Error> {
    for log in logs {
        log.check()?;
    }
    let kept = options.state.as_ref().map_or_else(|| Ok(Kept::default()), State::load)?;
    let mut replayed = kept.replayed;
    if kept.complete {
        return Ok(replayed);
    }
    replayed.interrupted = false;
    let bytes = Arc::new(AtomicU64::new(0));
    let plan = Plan {
        concurrency: options.concurrency,
        abreast: options.abreast,
        repeat: options.repeat,
        pace: options.pace.clone(),
        shard: options.shard,
        after: kept.position,
        bytes: Arc::clone(&bytes),
        stop: options.stop.clone(),
    };
    let (before, started) = (replayed.took, Instant::now());
    let (mut position, mut saved) = (kept.position, started);
    let save = |complete, position, replayed: &Replayed| match &options.state {
        Some(state) => state.save(position, complete, replayed),
        None => Ok(()),
    };
    // What cannot be kept is told before hours have gone into it.
    save(false, position, &replayed)?;
    let (tracer, hide) = (options.trace.clone(), options.hide.clone());
    let whole = flow(
        logs,
        &plan,
        move || Sender { worker: target.worker(), tracer: tracer.clone(), hide: hide.clone() },
        |step: Step<Done>| {
            for item in step.items {
                match item {
                    Ok((subject, verdict, took, traced)) => {
                        replayed.add(&subject, verdict, took);
                        if let (Some(tracer), Some(traced)) = (&options.trace, traced) {
                            tracer.tell(&traced);
                        }
                    }
                    Err(problem) => replayed.unreadable(problem),
                }
            }
            position = Some(step.end);
            progress(Progress {
                reviews: replayed.reviews(),
                failed: replayed.totals.failed,
                unreadable: replayed.unreadable,
                bytes: bytes.load(Ordering::Relaxed),
            });
            if options.state.as_ref().is_some_and(|state| saved.elapsed() >= state.every) {
                replayed.took = before + started.elapsed();
                // A disk that is full now may not be at the end; if it is, that is told.
                let _ = save(false, position, &replayed);
                saved = Instant::now();
            }
        },
    )
    .await?;
    replayed.took = before + started.elapsed();
    replayed.interrupted = !whole;
    match save(whole, position, &replayed) {
        Ok(()) => Ok(replayed),
        Err(source) => Err(Error::Unkept { source, replayed: Box::new(replayed) }),
    }
}

type Done = (Subject, Verdict, Duration, Option<Box<Traced>>);

/// Sends records and takes the time.
struct Sender {
    worker: Box<dyn Worker>,
    tracer: Option<Arc<Tracer>>,
    hide: Option<Arc<Hide>>,
}

impl Work for Sender {
    type Done = Done;

    fn work<'a>(&'a mut self, job: Job<'a>) -> Pending<'a, Done> {
        Box::pin(async move {
            // From when it was to begin: a webhook that keeps later requests waiting does not hide it.
            let begun = job.due.unwrap_or_else(Instant::now);
            let (subject, verdict) = self.worker.send(job.record).await;
            let took = begun.elapsed();
            let wanted = self.tracer.as_ref().is_some_and(|tracer| tracer.wants(&verdict));
            let traced = wanted.then(|| self.worker.traced()).flatten();
            let mut traced = traced.map(|traced| Traced { log: job.log.to_owned(), line: job.line, ..traced });
            let mut verdict = verdict;
            if let Some(hide) = &self.hide {
                verdict = hide.verdict(job.record, verdict);
                traced = traced.map(|traced| hide.traced(job.record, traced));
            }
            (subject, verdict, took, traced.map(Box::new))
        })
    }
}
