//! Where records come from.

use std::io;
use std::path::{Path, PathBuf};

use admission::capture::{Error, Reader, Record};
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

    /// What to call it in messages.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Stdin => "standard input".to_owned(),
            Self::Bytes { name, .. } => (*name).to_owned(),
        }
    }

    /// Opens it for reading.
    ///
    /// # Errors
    /// [`OpenError`] names the log.
    pub fn open(&self) -> Result<Reader, OpenError> {
        let reader = match self {
            Self::File(path) => Reader::open(path),
            Self::Stdin => Reader::new(io::stdin()),
            Self::Bytes { bytes, .. } => Reader::new(*bytes),
        };
        reader.map_err(|source| OpenError::Open { log: self.name(), source })
    }

    /// Whether it can be opened, without reading standard input.
    pub(crate) fn check(&self) -> Result<(), OpenError> {
        if matches!(self, Self::Stdin) { Ok(()) } else { self.open().map(drop) }
    }
}

/// Reads all logs in a thread of their own, for reading and decompressing block.
pub(super) fn spawn(logs: Vec<Log>, repeat: u64, send: mpsc::Sender<Result<Record, Problem>>) -> JoinHandle<()> {
    tokio::task::spawn_blocking(move || {
        for round in 0..repeat {
            for log in &logs {
                let reader = match log.open() {
                    Ok(reader) => reader,
                    // It was there a moment ago.
                    Err(OpenError::Open { log, source }) => {
                        let _ = send.blocking_send(Err(Problem { log, error: Error::Io { line: 0, source } }));
                        return;
                    }
                };
                for item in reader {
                    // A bad line is told once, not at each repetition.
                    let item = match item {
                        Err(_) if round > 0 => continue,
                        item => item.map_err(|error| Problem { log: log.name(), error }),
                    };
                    if send.blocking_send(item).is_err() {
                        return;
                    }
                }
            }
        }
    })
}
