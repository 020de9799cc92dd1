//! Recording while requests run: whoever answers hands an [`Exchange`] over and goes on; a thread writes.

#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use apimachinery::clock::{Clock, Timestamp};
use bytes::Bytes;

use super::queue::{Queue, Work};
use super::segments::{Fsync, Rotation, Segments};
use super::{Answer, Compression, Record, Redactor, encode};

/// How a recording is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the files go; made if it does not exist. Their names are `capture-TIME-N.jsonl.zst`, so that their order by
    /// name is their order in time; no file is written over.
    pub directory: PathBuf,
    /// Default: zstd at level 3. Each flush is a frame of its own, so that a file that was cut off loses its last flush.
    pub compression: Compression,
    /// A file ends before it grows beyond this (unless a single record does). Default: 64 MiB, compressed.
    pub max_bytes: u64,
    /// A file ends when it is this old. Default: an hour.
    pub max_age: Duration,
    /// The oldest files beyond this number are deleted. Default: none is.
    pub max_files: Option<usize>,
    /// Default: [`Fsync::Interval`] of a second.
    pub fsync: Fsync,
    /// Records are handed to the operating system at least this often. Default: a second.
    pub flush_after: Duration,
    /// Records that may wait for the writer; more are dropped and counted. Default: 4,096.
    pub max_queue: usize,
    /// Bytes that may wait for the writer. Default: 64 MiB.
    pub max_queue_bytes: usize,
    /// How long to wait after an error before it is tried again. Default: a second.
    pub retry_after: Duration,
    /// Takes secrets out before anything is written; `None` writes all as it is.
    pub redactor: Option<Redactor>,
    /// The time of day.
    pub clock: Clock,
}

impl Options {
    /// The defaults, with secrets redacted by `redactor`.
    #[must_use]
    pub fn new(directory: PathBuf, redactor: Option<Redactor>, clock: Clock) -> Self {
        Self {
            directory,
            compression: Compression::Zstd(3),
            max_bytes: 64 << 20,
            max_age: Duration::from_secs(3600),
            max_files: None,
            fsync: Fsync::Interval(Duration::from_secs(1)),
            flush_after: Duration::from_secs(1),
            max_queue: 4096,
            max_queue_bytes: 64 << 20,
            retry_after: Duration::from_secs(1),
            redactor,
            clock,
        }
    }
}

/// One request and its answer, as they went over the wire.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// When the request came.
    pub began: Timestamp,
    /// How long the answer took.
    pub took: Duration,
    /// HTTP method.
    pub method: String,
    /// URL path.
    pub path: String,
    /// Query without the question mark.
    pub query: String,
    /// The request's headers, in wire order.
    pub headers: Vec<(String, String)>,
    /// The request's body.
    pub body: Bytes,
    /// The answer, if there was one.
    pub answer: Option<Answered>,
}

/// An answer, as it went over the wire.
#[derive(Clone, Debug)]
pub struct Answered {
    /// HTTP status code.
    pub status: u16,
    /// Headers, in wire order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Exchange {
    /// Bytes that it holds, roughly.
    pub(super) fn size(&self) -> usize {
        let headers = |headers: &[(String, String)]| headers.iter().map(|(k, v)| k.len() + v.len() + 64).sum::<usize>();
        let answer = self.answer.as_ref().map_or(0, |answer| headers(&answer.headers) + answer.body.len());
        256 + self.path.len() + self.query.len() + headers(&self.headers) + self.body.len() + answer
    }

    /// The record of it. Bodies that are no UTF-8 (and so no JSON) get replacement characters.
    fn into_record(self, seq: u64, start: Timestamp) -> Record {
        #[expect(clippy::cast_precision_loss, reason = "microseconds of centuries fit")]
        let t_ms = self.began.unix_micros().saturating_sub(start.unix_micros()) as f64 / 1000.0;
        Record {
            seq,
            time: Some(self.began.rfc3339_micro()),
            t_ms: Some(t_ms),
            method: self.method,
            path: self.path,
            query: self.query,
            headers: self.headers,
            body: text(&self.body),
            response: self.answer.map(|answer| Answer {
                status: answer.status,
                headers: answer.headers,
                body: text(&answer.body),
            }),
            duration_ms: Some(self.took.as_secs_f64() * 1000.0),
            ..Record::default()
        }
    }
}

fn text(body: &Bytes) -> String {
    String::from_utf8_lossy(body).into_owned()
}

/// What a recording has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that were handed over, dropped ones included.
    pub offered: u64,
    /// Records in the files: handed to the operating system, and with [`Fsync::Each`] on the disk.
    pub written: u64,
    /// Records that found no room in the queue, or that a recording in trouble could not write before it ended.
    pub dropped: u64,
    /// Bytes of the files, compressed.
    pub bytes: u64,
    /// Files begun.
    pub files: u64,
    /// Times that writing failed.
    pub errors: u64,
    /// Records that wait.
    pub queued: u64,
}

impl Counts {
    /// The counts in OpenMetrics' text form, without its last line.
    #[must_use]
    pub fn openmetrics(&self) -> String {
        let mut text = String::new();
        for (name, kind, help, value) in [
            ("records", "counter", "Requests handed to the capture", self.offered),
            ("records_written", "counter", "Records in the files of the capture", self.written),
            ("records_dropped", "counter", "Records that found no room or could not be written", self.dropped),
            ("bytes_written", "counter", "Bytes of the files of the capture", self.bytes),
            ("files", "counter", "Files of the capture", self.files),
            ("errors", "counter", "Times that writing the capture failed", self.errors),
            ("queue", "gauge", "Records that wait to be written", self.queued),
        ] {
            let suffix = if kind == "counter" { "_total" } else { "" };
            let _ = writeln!(
                text,
                "# HELP towtank_capture_{name} {help}.\n# TYPE towtank_capture_{name} {kind}\ntowtank_capture_{name}{suffix} {value}"
            );
        }
        text
    }
}

/// A change in a recording that people should hear of, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Writing failed; it is tried again, and until then records wait, then are dropped.
    Failing {
        /// The file or directory, and what the operating system said.
        message: String,
    },
    /// Writing works again.
    Recovered {
        /// Records dropped since the recording began.
        dropped: u64,
    },
}

/// A recording under way. Clones hand over to the same recording; it ends with [`Recorder::close`], or when the last clone
/// is dropped: what was handed over is written first.
#[derive(Clone)]
pub struct Recorder(Arc<Running>);

struct Running {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    queue: Queue,
    clock: Clock,
    offered: AtomicU64,
    written: AtomicU64,
    dropped: AtomicU64,
    bytes: AtomicU64,
    files: AtomicU64,
    errors: AtomicU64,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Recorder").field(&self.counts()).finish()
    }
}

impl Recorder {
    /// Begins a recording. `notice` hears of trouble and of its end; it is called from the writer's thread.
    ///
    /// # Errors
    /// The directory cannot be made or written to, or there is no thread to be had.
    pub fn start(options: Options, notice: impl Fn(Notice) + Send + 'static) -> io::Result<Self> {
        std::fs::create_dir_all(&options.directory)?;
        // Told now and not with the first record. The name is nobody's log.
        let probe = options.directory.join(format!(".capture-{}", options.clock.now().unix_micros()));
        std::fs::File::create(&probe)?;
        std::fs::remove_file(&probe)?;
        let shared = Arc::new(Shared {
            queue: Queue::new(options.max_queue, options.max_queue_bytes),
            clock: options.clock,
            offered: AtomicU64::new(0),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            files: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        });
        let writer = Writer {
            shared: Arc::clone(&shared),
            segments: Segments::new(Rotation {
                directory: options.directory.clone(),
                compression: options.compression,
                max_bytes: options.max_bytes,
                max_age: options.max_age,
                max_files: options.max_files,
                fsync: options.fsync,
            }),
            start: options.clock.now(),
            options,
            seq: 0,
            lines: Vec::new(),
            in_lines: 0,
            oldest: None,
            failing: false,
            notice: Box::new(notice),
        };
        let thread = std::thread::Builder::new().name("capture".to_owned()).spawn(move || writer.run())?;
        Ok(Self(Arc::new(Running { shared, thread: Mutex::new(Some(thread)) })))
    }

    /// The clock by which [`Exchange::began`] is told.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.0.shared.clock
    }

    /// Hands an exchange over and returns at once; where there is no room for it, it is dropped and counted.
    pub fn record(&self, exchange: Exchange) {
        let shared = &self.0.shared;
        shared.offered.fetch_add(1, Ordering::Relaxed);
        if !shared.queue.offer(exchange) {
            shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How it goes.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let shared = &self.0.shared;
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        Counts {
            offered: read(&shared.offered),
            written: read(&shared.written),
            dropped: read(&shared.dropped),
            bytes: read(&shared.bytes),
            files: read(&shared.files),
            errors: read(&shared.errors),
            queued: shared.queue.len() as u64,
        }
    }

    /// Waits until all that was handed over before is in the files; false if that did not succeed within this time. Blocks:
    /// nothing for a thread that answers requests.
    #[must_use]
    pub fn flush(&self, at_most: Duration) -> bool {
        self.0.shared.queue.flush(at_most)
    }

    /// Ends the recording: what was handed over is written (one attempt, if the disk is in trouble), the file ends. What
    /// clones hand over later is dropped. Blocks until done.
    pub fn close(&self) -> Counts {
        self.0.end();
        self.counts()
    }
}

impl Running {
    fn end(&self) {
        self.shared.queue.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Lines are handed to the files in pieces of about this many bytes at most.
const PIECE: usize = 256 * 1024;

struct Writer {
    shared: Arc<Shared>,
    options: Options,
    segments: Segments,
    start: Timestamp,
    seq: u64,
    /// Lines that are in no file yet, how many, and since when.
    lines: Vec<u8>,
    in_lines: u64,
    oldest: Option<Timestamp>,
    failing: bool,
    notice: Box<dyn Fn(Notice) + Send>,
}

impl Writer {
    fn run(mut self) {
        loop {
            let Work { exchanges, stopping, flush } = self.shared.queue.take(self.patience());
            for exchange in exchanges {
                self.add(exchange);
                if self.lines.len() >= PIECE {
                    self.commit();
                }
            }
            let now = self.shared.clock.now();
            let due = self.oldest.is_some_and(|oldest| passed(oldest, now) >= self.options.flush_after);
            if due || stopping || flush.is_some() || self.options.fsync == Fsync::Each {
                self.commit();
            }
            if let Some(flush) = flush {
                self.shared.queue.acknowledge(flush);
            }
            let ticked = if stopping { self.segments.end() } else { self.segments.tick(now) };
            if let Err(error) = ticked {
                self.failed(&error);
            }
            if stopping {
                return;
            }
        }
    }

    /// How long there is nothing to do unless something comes.
    fn patience(&self) -> Duration {
        let now = self.shared.clock.now();
        let most = Duration::from_secs(1).min(self.options.flush_after);
        self.oldest.map_or(most, |oldest| self.options.flush_after.saturating_sub(passed(oldest, now))).min(most)
    }

    fn add(&mut self, exchange: Exchange) {
        self.seq += 1;
        let mut record = exchange.into_record(self.seq, self.start);
        if let Some(redactor) = &self.options.redactor {
            redactor.record(&mut record);
        }
        // Only a sink can refuse a line, and this one is memory.
        if encode(&record, &mut self.lines).is_ok() {
            self.in_lines += 1;
            self.oldest.get_or_insert_with(|| self.shared.clock.now());
        }
    }

    /// Hands the lines to the files, and tries again until that succeeds or the recording ends.
    fn commit(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let frame = self.options.compression.frame(&self.lines);
        loop {
            let now = self.shared.clock.now();
            let done = match &frame {
                Ok(frame) => self.segments.append(frame, now),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            self.shared.files.store(self.segments.begun(), Ordering::Release);
            match done {
                Ok(()) => {
                    self.shared.bytes.fetch_add(frame.map_or(0, |frame| frame.len() as u64), Ordering::Release);
                    self.shared.written.fetch_add(self.in_lines, Ordering::Release);
                    if std::mem::take(&mut self.failing) {
                        (self.notice)(Notice::Recovered { dropped: self.shared.dropped.load(Ordering::Relaxed) });
                    }
                    break;
                }
                Err(error) => {
                    self.failed(&error);
                    if self.shared.queue.pause(self.options.retry_after) {
                        // The end is near: this was the last attempt.
                        self.shared.dropped.fetch_add(self.in_lines, Ordering::Relaxed);
                        break;
                    }
                }
            }
        }
        self.lines.clear();
        // A single huge record is not kept in memory for ever.
        self.lines.shrink_to(4 * PIECE);
        self.in_lines = 0;
        self.oldest = None;
    }

    fn failed(&mut self, error: &io::Error) {
        self.shared.errors.fetch_add(1, Ordering::Relaxed);
        if !std::mem::replace(&mut self.failing, true) {
            (self.notice)(Notice::Failing { message: format!("{}: {error}", self.segments.place().display()) });
        }
    }
}

fn passed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(now.unix_micros().saturating_sub(since.unix_micros())).unwrap_or(0))
}
