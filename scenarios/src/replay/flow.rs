//! The stream: batches of lines to workers on all cores, and what came of them back in the log's order.
//!
//! ```text
//! source (a thread: decompress, find lines) ──► pacer ──► tasks: parse, work ──► in order ──► collect
//!                                  bounded                `concurrency` at most    bounded
//! ```
//! Because results arrive in order, "all up to this line" is enough to go on after a kill.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use admission::capture::Record;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::pace::{Pace, Pacer};
use super::source::{self, Batch, Log, OpenError, Part, Position, Problem, Shard};
use super::stop::Stop;
use crate::abreast::abreast;
use crate::cluster::Pending;

/// Lines that have been read and wait for a worker.
const QUEUE: usize = 128;
/// Lines in a batch, unless each begins at its own time.
const BATCH: usize = 16;
/// Lines that may be finished before one that began earlier.
const WINDOW: usize = 16 * 1024;

/// How to go through logs.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) concurrency: usize,
    /// How many of these one task has under way, see [`abreast`].
    pub(crate) abreast: usize,
    pub(crate) repeat: u64,
    pub(crate) pace: Pace,
    pub(crate) shard: Shard,
    pub(crate) after: Option<Position>,
    /// Told the bytes that have been read.
    pub(crate) bytes: Arc<AtomicU64>,
    /// When it says so, what is under way is finished and no more is begun.
    pub(crate) stop: Stop,
}

/// One record on its way.
pub(crate) struct Job<'a> {
    pub(crate) record: &'a Record,
    pub(crate) log: &'a str,
    pub(crate) line: u64,
    /// When it was to begin, if it was to.
    pub(crate) due: Option<Instant>,
}

/// Does the work, one record at a time.
pub(crate) trait Work: Send + 'static {
    /// What comes of a record.
    type Done: Send + 'static;
    /// Works on one record.
    fn work<'a>(&'a mut self, job: Job<'a>) -> Pending<'a, Self::Done>;
}

/// What came of a batch.
pub(crate) struct Step<D> {
    pub(crate) items: Vec<Result<D, Problem>>,
    /// All up to here has been dealt with.
    pub(crate) end: Position,
}

/// Goes through logs; `collect` gets what came of each batch, in the log's order. False if it was ended before the logs were.
///
/// # Errors
/// A log cannot be opened.
pub(crate) async fn flow<W: Work>(
    logs: &[Log],
    plan: &Plan,
    worker: impl Fn() -> W + Send + Sync + 'static,
    mut collect: impl FnMut(Step<W::Done>),
) -> Result<bool, OpenError> {
    for log in logs {
        log.check()?;
    }
    let lines = if plan.pace == Pace::Fast { BATCH } else { 1 };
    let part = Part { repeat: plan.repeat.max(1), shard: plan.shard, after: plan.after, batch: lines };
    let (send, batches) = mpsc::channel(QUEUE / lines);
    let reading = source::spawn(logs.to_vec(), part, Arc::clone(&plan.bytes), send);
    let window = Arc::new(Semaphore::new(WINDOW / lines));
    let (done, mut finished) = mpsc::channel(QUEUE / lines);
    let width = plan.abreast.clamp(1, plan.concurrency.max(1));
    let dispatching = tokio::spawn(dispatch(
        batches,
        width,
        Pacer::new(plan.pace.clone()),
        Arc::clone(&window),
        Arc::new(Semaphore::new(plan.concurrency.max(1).div_ceil(width))),
        Arc::new(worker),
        done,
        plan.stop.clone(),
    ));
    let mut next = 0;
    let mut early: BTreeMap<u64, Step<W::Done>> = BTreeMap::new();
    while let Some((index, step)) = finished.recv().await {
        early.insert(index, step);
        while let Some(step) = early.remove(&next) {
            collect(step);
            next += 1;
            window.add_permits(1);
        }
    }
    let whole = dispatching.await.unwrap_or(false);
    // Whoever waits for more of standard input may wait for ever.
    if whole {
        let _ = reading.await;
    }
    Ok(whole)
}

#[expect(clippy::too_many_arguments, reason = "the parts of one plan, taken apart at once by the only caller")]
async fn dispatch<W: Work>(
    mut batches: mpsc::Receiver<Batch>,
    width: usize,
    mut pacer: Pacer,
    window: Arc<Semaphore>,
    places: Arc<Semaphore>,
    worker: Arc<impl Fn() -> W + Send + Sync + 'static>,
    done: mpsc::Sender<(u64, Step<W::Done>)>,
    mut stop: Stop,
) -> bool {
    // The worker that was busy last goes first: a rate that two connections can keep needs two connections.
    let idle: Arc<Mutex<Vec<W>>> = Arc::default();
    let mut index = 0;
    loop {
        let batch = match stop.or(batches.recv()).await {
            Some(Some(batch)) => batch,
            Some(None) => return true,
            None => return false,
        };
        let Ok(permit) = window.acquire().await else { return false };
        permit.forget();
        if done.is_closed() {
            return false;
        }
        let (log, end) = (Arc::clone(&batch.log), batch.end);
        let mut due = None;
        let mut records = batch.records().peekable();
        if let Some((_, Ok(record))) = records.peek() {
            due = pacer.due(record, end);
        }
        if let Some(due) = due
            && stop.or(tokio::time::sleep_until(due)).await.is_none()
        {
            return false;
        }
        let Some(Ok(place)) = stop.or(Arc::clone(&places).acquire_owned()).await else { return false };
        let (idle, worker, done) = (Arc::clone(&idle), Arc::clone(&worker), done.clone());
        tokio::spawn(async move {
            let mut busy = Vec::new();
            // First all are read, then all are sent: the code of either is much, and stays at hand that way.
            let records: Vec<_> = records.collect();
            let mut items = Vec::with_capacity(records.len());
            let mut records = records.into_iter().peekable();
            while records.peek().is_some() {
                let group: Vec<_> = records.by_ref().take(width).collect();
                while busy.len() < group.len() {
                    let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    busy.push(kept.unwrap_or_else(|| worker()));
                }
                let log = &log;
                let runs = group.into_iter().zip(&mut busy).map(|((line, record), busy)| async move {
                    match record {
                        Ok(record) => Ok(busy.work(Job { record: &record, log, line, due }).await),
                        Err(problem) => Err(problem),
                    }
                });
                items.extend(abreast(runs).await);
            }
            idle.lock().unwrap_or_else(PoisonError::into_inner).append(&mut busy);
            drop(place);
            let _ = done.send((index, Step { items, end })).await;
        });
        index += 1;
    }
}
