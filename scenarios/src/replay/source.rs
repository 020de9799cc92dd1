//! Where records come from.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use admission::capture::{Error, Line, Reader, Record, logs};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A log to replay.
#[derive(Clone, Debug)]
pub enum Log {
    /// A file.
    File(PathBuf),
    /// Standard input; it can be replayed only once.
    Stdin,
    /// Bytes in this program.
    Bytes {
        /// What to call it in messages.
        name: &'static str,
        /// The log, compressed or not.
        bytes: &'static [u8],
    },
}

/// A log that cannot be replayed at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No such file, a directory, no permission.
    #[error("cannot read log {log}: {source}")]
    Open {
        /// The log's name.
        log: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

/// Something in a log that is not a record.
#[derive(Debug, thiserror::Error)]
#[error("{log}: {error}")]
pub struct Problem {
    /// The log's name.
    pub log: String,
    /// The line, and what is wrong with it.
    #[source]
    pub error: Error,
}

impl Log {
    /// The log that a path on the command line means: `-` is standard input.
    #[must_use]
    pub fn from_path(path: &Path) -> Self {
        if path == Path::new("-") { Self::Stdin } else { Self::File(path.to_owned()) }
    }

    /// The logs that paths on the command line mean; a directory stands for the logs in it, in the order of their names.
    ///
    /// # Errors
    /// A directory that cannot be read, or holds no log.
    pub fn from_paths(paths: &[PathBuf]) -> Result<Vec<Self>, OpenError> {
        let mut all = Vec::new();
        for path in paths {
            if path.is_dir() {
                let within = logs(path);
                let within = within.map_err(|source| OpenError::Open { log: path.display().to_string(), source })?;
                all.extend(within.into_iter().map(Self::File));
            } else {
                all.push(Self::from_path(path));
            }
        }
        Ok(all)
    }

    /// What to call it in messages.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Stdin => "standard input".to_owned(),
            Self::Bytes { name, .. } => (*name).to_owned(),
        }
    }

    /// Its bytes as they lie there, compressed or not; none if nobody knows.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        match self {
            Self::File(path) => std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|file| file.len()),
            Self::Stdin => None,
            Self::Bytes { bytes, .. } => Some(bytes.len() as u64),
        }
    }

    /// Opens it for reading.
    ///
    /// # Errors
    /// [`OpenError`] names the log.
    pub fn open(&self) -> Result<Reader, OpenError> {
        self.open_counted(&Arc::default())
    }

    /// The same, with a counter of the bytes that have been read.
    fn open_counted(&self, count: &Arc<AtomicU64>) -> Result<Reader, OpenError> {
        let count = Arc::clone(count);
        let reader = match self {
            Self::File(path) => File::open(path).and_then(|file| {
                if file.metadata()?.is_dir() {
                    return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a directory, not a log"));
                }
                Reader::new(Counted { inner: file, count })
            }),
            Self::Stdin => Reader::new(Counted { inner: io::stdin(), count }),
            Self::Bytes { bytes, .. } => Reader::new(Counted { inner: *bytes, count }),
        };
        reader.map_err(|source| OpenError::Open { log: self.name(), source })
    }

    /// Whether it can be opened, without reading standard input.
    pub(crate) fn check(&self) -> Result<(), OpenError> {
        if matches!(self, Self::Stdin) { Ok(()) } else { self.open().map(drop) }
    }
}

struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// A place in the logs: everything up to and including this line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Repetition, from 0.
    pub round: u64,
    /// Which of the logs, from 0.
    pub log: usize,
    /// Line in it, from 1; 0 before the first.
    pub line: u64,
}

/// A part of the logs: of every `of` lines, the one with this index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// From 0, as the completion index of a Kubernetes Job.
    pub index: u64,
    /// How many there are, at least 1.
    pub of: u64,
}

impl Shard {
    /// Reads `0/4`.
    ///
    /// # Errors
    /// Says what is wanted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((index, of)) if index < of => Ok(Self { index, of }),
            _ => Err("want INDEX/COUNT with an index from 0, such as 0/4, 1/4, 2/4 and 3/4".to_owned()),
        }
    }

    const fn holds(self, line: u64) -> bool {
        line % self.of == self.index
    }
}

/// Which part of the logs to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) repeat: u64,
    pub(crate) shard: Shard,
    /// Everything up to here has been dealt with.
    pub(crate) after: Option<Position>,
    /// Lines in a batch.
    pub(crate) batch: usize,
}

/// Bytes of lines after which a batch is sent on, however few lines it has.
const BATCH_BYTES: usize = 256 * 1024;
/// Memory of so many batches is kept for the next ones.
const SPARE: usize = 16;

/// Lines of one log, in order.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) log: Arc<str>,
    pub(crate) end: Position,
    text: Lent,
    items: Vec<Item>,
}

/// Memory for a batch's text, which goes back to the thread that reads.
#[derive(Debug)]
struct Lent {
    bytes: Vec<u8>,
    back: SyncSender<Vec<u8>>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        if (1..=2 * BATCH_BYTES).contains(&bytes.capacity()) {
            bytes.clear();
            // Nobody reads any more, or has enough.
            let _ = self.back.try_send(bytes);
        }
    }
}

/// What [`Lent`] gives back is lent again.
struct Store {
    back: SyncSender<Vec<u8>>,
    spare: Receiver<Vec<u8>>,
}

impl Store {
    fn new() -> Self {
        let (back, spare) = sync_channel(SPARE);
        Self { back, spare }
    }

    fn lend(&self) -> Lent {
        Lent { bytes: self.spare.try_recv().unwrap_or_default(), back: self.back.clone() }
    }
}

#[derive(Debug)]
enum Item {
    /// The line ends there in `text`, and begins where the last one ended.
    Line {
        number: u64,
        end: usize,
        whole: bool,
    },
    Error(Error),
}

impl Batch {
    fn new(log: &Arc<str>, end: Position, store: &Store) -> Self {
        Self { log: Arc::clone(log), end, text: store.lend(), items: Vec::new() }
    }

    /// Reads the records: pairs of the line's number and what is in it. What is wrong with a line is told in the first round,
    /// not at each repetition.
    pub(crate) fn records(self) -> impl Iterator<Item = (u64, Result<Record, Problem>)> {
        let Self { log, end, text, items } = self;
        let mut begin = 0;
        items
            .into_iter()
            .map(move |item| match item {
                Item::Line { number, end, whole } => {
                    let line = Line { number, text: text.bytes.get(begin..end).unwrap_or_default(), whole };
                    begin = end;
                    (number, line.record())
                }
                Item::Error(error) => (error.line(), Err(error)),
            })
            .filter(move |(_, record)| end.round == 0 || record.is_ok())
            .map(move |(number, record)| (number, record.map_err(|error| Problem { log: log.to_string(), error })))
    }
}

/// Reads a part of all logs in a thread of its own, for reading and decompressing block. `count` is told the bytes.
pub(crate) fn spawn(logs: Vec<Log>, part: Part, count: Arc<AtomicU64>, send: mpsc::Sender<Batch>) -> JoinHandle<()> {
    tokio::task::spawn_blocking(move || {
        let from = part.after.unwrap_or_default();
        let store = Store::new();
        for round in from.round..part.repeat {
            for (index, log) in logs.iter().enumerate() {
                let skipped = match (Position { round, log: index, line: 0 }, from) {
                    (here, from) if (here.round, here.log) < (from.round, from.log) => {
                        count.fetch_add(log.bytes().unwrap_or_default(), Ordering::Relaxed);
                        continue;
                    }
                    (here, from) if (here.round, here.log) == (from.round, from.log) => from.line,
                    _ => 0,
                };
                let from = Position { round, log: index, line: skipped };
                if read(log, from, part, &store, &count, &send).is_none() {
                    return;
                }
            }
        }
    })
}

/// Reads one log, past the lines up to `from`. `None`: nobody listens any more.
fn read(
    log: &Log,
    from: Position,
    part: Part,
    store: &Store,
    count: &Arc<AtomicU64>,
    send: &mpsc::Sender<Batch>,
) -> Option<()> {
    let name: Arc<str> = log.name().into();
    let mut reader = match log.open_counted(count) {
        Ok(reader) => reader,
        // It was there a moment ago.
        Err(OpenError::Open { source, .. }) => {
            let items = vec![Item::Error(Error::Io { line: 0, source })];
            return send.blocking_send(Batch { items, ..Batch::new(&name, from, store) }).ok();
        }
    };
    let mut batch = Batch::new(&name, from, store);
    while let Some(line) = reader.next_line() {
        let number = match &line {
            Ok(line) => line.number,
            Err(error) => error.line(),
        };
        if number <= from.line {
            continue;
        }
        batch.end.line = number;
        if !part.shard.holds(number) {
            continue;
        }
        batch.items.push(match line {
            Ok(line) => {
                batch.text.bytes.extend_from_slice(line.text);
                Item::Line { number, end: batch.text.bytes.len(), whole: line.whole }
            }
            Err(error) => Item::Error(error),
        });
        if batch.items.len() >= part.batch || batch.text.bytes.len() >= BATCH_BYTES {
            let next = Batch::new(&name, batch.end, store);
            send.blocking_send(std::mem::replace(&mut batch, next)).ok()?;
        }
    }
    send.blocking_send(batch).ok()
}
