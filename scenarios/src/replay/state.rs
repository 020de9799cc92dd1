//! How far a replay has come, in a file: after a kill it goes on from there, and counts nothing twice.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use apimachinery::value::Value;
use serde::{Deserialize, Serialize};

use super::source::{Position, Shard};
use super::{Log, Replayed};

/// Version of the file's format.
const FORMAT_VERSION: u32 = 1;

/// What a replay is, as far as it matters to another that would go on with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    logs: Vec<String>,
    repeat: u64,
    shard: Shard,
    target: String,
}

impl Identity {
    /// Of these logs, so many times, this part of them, at this target (in words).
    #[must_use]
    pub fn new(logs: &[Log], repeat: u64, shard: Shard, target: String) -> Self {
        Self { logs: logs.iter().map(Log::name).collect(), repeat, shard, target }
    }
}

/// A state file.
#[derive(Debug)]
pub struct State {
    path: PathBuf,
    identity: Identity,
    pub(super) every: Duration,
}

/// What was in a state file.
#[derive(Debug, Default)]
pub struct Kept {
    /// Everything up to here is in `replayed`; `None`: nothing is.
    pub position: Option<Position>,
    /// Whether the replay had come to its end.
    pub complete: bool,
    /// What came of it so far.
    pub replayed: Replayed,
}

/// A state file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be read or written.
    #[error("state file {file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// It is no state file, or one of another replay.
    #[error("state file {file}: {message}")]
    Content {
        /// The file.
        file: String,
        /// What is wrong with it.
        message: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    format_version: u32,
    replay: Identity,
    position: Option<Position>,
    complete: bool,
    result: Value,
}

impl State {
    /// The state of this replay in this file, which need not exist yet.
    #[must_use]
    pub const fn new(path: PathBuf, identity: Identity) -> Self {
        Self { path, identity, every: Duration::from_secs(1) }
    }

    /// Writes it when this much time has gone by since the last time; a second unless told otherwise.
    #[must_use]
    pub const fn every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// What was kept; the default if the file does not exist.
    ///
    /// # Errors
    /// The file cannot be read, is no state file, or is one of another replay.
    pub fn load(&self) -> Result<Kept, StateError> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kept::default()),
            Err(source) => return Err(self.io(source)),
        };
        let content: Content = serde_json::from_slice(&text)
            .map_err(|error| self.content(format!("not the state of a replay: {error}; remove it to begin anew")))?;
        if content.format_version > FORMAT_VERSION {
            return Err(self.content(format!(
                "format version {} is newer than {FORMAT_VERSION}: use a newer towtank",
                content.format_version
            )));
        }
        if content.replay != self.identity {
            return Err(self.content(
                "it is of another replay (other logs, --repeat, --shard or webhook): name another file, or remove it"
                    .to_owned(),
            ));
        }
        let replayed = Replayed::from_json(&content.result).map_err(|message| self.content(message))?;
        Ok(Kept { position: content.position, complete: content.complete, replayed })
    }

    /// Writes the state in place of the one before: whenever the process ends, the file holds the one or the other.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, position: Option<Position>, complete: bool, replayed: &Replayed) -> Result<(), StateError> {
        let content = Content {
            format_version: FORMAT_VERSION,
            replay: self.identity.clone(),
            position,
            complete,
            result: replayed.json(),
        };
        let text = serde_json::to_vec(&content).map_err(|error| self.content(error.to_string()))?;
        replace(&self.path, &text).map_err(|source| self.io(source))
    }

    fn io(&self, source: io::Error) -> StateError {
        StateError::Io { file: self.path.display().to_string(), source }
    }

    fn content(&self, message: String) -> StateError {
        StateError::Content { file: self.path.display().to_string(), message }
    }
}

fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = File::create(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    drop(file);
    fs::rename(new, path)
}
