//! Replaying a capture log.
//!
//! ```text
//! source (a thread: decompress, parse) ──► workers (each with its own connection) ──► tally
//!          bounded queue                      target: direct | admission
//! ```
//! Records are held only while they are under way, so memory does not grow with the log.

mod admission;
mod direct;
mod latency;
mod replayed;
mod source;
mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;

pub use admission::{Admission, Meta, MetaError, Place, SetupError};
pub use direct::{Direct, injector_path};
pub use latency::Latency;
pub use replayed::{Counts, Replayed};
pub use source::{Log, OpenError, Problem};
pub use target::{Subject, Target, Verdict, Worker};

/// How to replay.
#[derive(Clone, Debug)]
pub struct Options {
    /// Requests under way at once; at least 1.
    pub concurrency: usize,
    /// How often each log is replayed; at least 1.
    pub repeat: u64,
    /// Requests begun per second; `None`: as fast as they are answered.
    pub rate: Option<f64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { concurrency: 8, repeat: 1, rate: None }
    }
}

/// Replays logs, one after the other, at a target. `progress` is told how many records are done, and the number of
/// bytes of the logs that have been read.
///
/// # Errors
/// A log cannot be opened. Whatever is wrong inside a log, or with a request, is in the result.
pub async fn replay(
    logs: &[Log],
    target: Arc<dyn Target>,
    options: &Options,
    progress: impl Fn(u64) + Send,
) -> Result<Replayed, OpenError> {
    for log in logs {
        log.check()?;
    }
    let concurrency = options.concurrency.max(1);
    let (send, receive) = mpsc::channel(concurrency * 2);
    let reading = source::spawn(logs.to_vec(), options.repeat.max(1), send);
    let receive = Arc::new(Mutex::new(Pacer { receive, every: options.rate.map(per_second), next: None }));
    let (done, mut finished) = mpsc::channel(concurrency * 4);

    let started = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..concurrency {
        let (receive, done, target) = (Arc::clone(&receive), done.clone(), Arc::clone(&target));
        workers.spawn(async move {
            let mut worker = target.worker();
            while let Some(item) = Pacer::next(&receive).await {
                let report = match item {
                    Ok(record) => {
                        let begun = Instant::now();
                        let (subject, verdict) = worker.send(&record).await;
                        Done::Answered(subject, verdict, begun.elapsed())
                    }
                    Err(problem) => Done::Unreadable(problem),
                };
                if done.send(report).await.is_err() {
                    break;
                }
            }
        });
    }
    drop(done);

    let mut replayed = Replayed::default();
    while let Some(report) = finished.recv().await {
        match report {
            Done::Answered(subject, verdict, took) => {
                replayed.add(&subject, verdict, took);
                progress(replayed.reviews());
            }
            Done::Unreadable(problem) => replayed.unreadable(problem),
        }
    }
    replayed.took = started.elapsed();
    while workers.join_next().await.is_some() {}
    let _ = reading.await;
    Ok(replayed)
}

enum Done {
    Answered(Subject, Verdict, Duration),
    Unreadable(Problem),
}

fn per_second(rate: f64) -> Duration {
    Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::ZERO)
}

/// Hands out records, not sooner than the rate allows.
struct Pacer {
    receive: mpsc::Receiver<Result<::admission::capture::Record, Problem>>,
    every: Option<Duration>,
    next: Option<Instant>,
}

impl Pacer {
    async fn next(pacer: &Mutex<Self>) -> Option<Result<::admission::capture::Record, Problem>> {
        let mut pacer = pacer.lock().await;
        let item = pacer.receive.recv().await?;
        if let Some(every) = pacer.every {
            let now = Instant::now();
            let due = pacer.next.unwrap_or(now);
            tokio::time::sleep_until(due).await;
            // A pause is not made up for by a burst: what is late is late.
            pacer.next = Some(due.max(now) + every);
        }
        Some(item)
    }
}
