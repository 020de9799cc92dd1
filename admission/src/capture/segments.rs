//! The files of a recording: begun when there is something to write, ended by size and age, never written over.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use apimachinery::clock::Timestamp;

use super::Compression;

/// When what was written is forced to the disk. A killed process loses nothing of what was handed to the operating
/// system; this is about machines that lose power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Never: the operating system does it in its own time.
    Never,
    /// At most this long after it was written, and when a file ends.
    Interval(Duration),
    /// Each time something was written, before it counts as written. Records that arrive together share one.
    Each,
}

/// How the files of one directory are written.
#[derive(Clone, Debug)]
pub(super) struct Rotation {
    pub(super) directory: PathBuf,
    pub(super) compression: Compression,
    pub(super) max_bytes: u64,
    pub(super) max_age: Duration,
    pub(super) max_files: Option<usize>,
    pub(super) fsync: Fsync,
}

/// Writes frames (pieces that a reader can start with) into the files of one recording.
pub(super) struct Segments {
    rotation: Rotation,
    open: Option<Segment>,
    begun: u64,
    unsynced_since: Option<Timestamp>,
}

struct Segment {
    file: File,
    path: PathBuf,
    length: u64,
    opened: Timestamp,
}

impl Segments {
    pub(super) fn new(rotation: Rotation) -> Self {
        Self { rotation, open: None, begun: 0, unsynced_since: None }
    }

    /// Files begun so far.
    pub(super) fn begun(&self) -> u64 {
        self.begun
    }

    /// The directory, or the file that is being written.
    pub(super) fn place(&self) -> &Path {
        self.open.as_ref().map_or(&self.rotation.directory, |segment| &segment.path)
    }

    /// Appends a whole frame to the file that is due at `now`. After an error nothing of the frame is in a file that will
    /// be written on: the file ends with the frame before, and the next call begins another.
    pub(super) fn append(&mut self, frame: &[u8], now: Timestamp) -> io::Result<()> {
        let added = frame.len() as u64;
        if let Some(segment) = &self.open
            && (segment.length + added > self.rotation.max_bytes || self.aged(segment, now))
        {
            self.end()?;
        }
        let mut segment = match self.open.take() {
            Some(segment) => segment,
            None => self.begin(now)?,
        };
        let mut done = segment.file.write_all(frame);
        if done.is_ok() && self.rotation.fsync == Fsync::Each {
            done = segment.file.sync_data();
        }
        if let Err(error) = done {
            // Cutting needs no room on the disk. Where it fails, a reader finds a torn end.
            if segment.length == 0 {
                let _ = std::fs::remove_file(&segment.path);
            } else {
                let _ = segment.file.set_len(segment.length);
            }
            return Err(error);
        }
        segment.length += added;
        self.open = Some(segment);
        self.unsynced_since.get_or_insert(now);
        Ok(())
    }

    /// What is due without anything to write: a file that is too old ends, and what was written is forced to the disk.
    pub(super) fn tick(&mut self, now: Timestamp) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|segment| self.aged(segment, now)) {
            return self.end();
        }
        if let (Fsync::Interval(interval), Some(since)) = (self.rotation.fsync, self.unsynced_since)
            && elapsed(since, now) >= interval
        {
            self.unsynced_since = None;
            if let Some(segment) = &self.open {
                segment.file.sync_data()?;
            }
        }
        Ok(())
    }

    /// Ends the file that is being written, if any.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.unsynced_since = None;
        match (self.open.take(), self.rotation.fsync) {
            (Some(segment), Fsync::Interval(_) | Fsync::Each) => segment.file.sync_all(),
            _ => Ok(()),
        }
    }

    fn aged(&self, segment: &Segment, now: Timestamp) -> bool {
        elapsed(segment.opened, now) >= self.rotation.max_age
    }

    /// Begins a file whose name sorts behind all that were begun earlier, by any process.
    fn begin(&mut self, now: Timestamp) -> io::Result<Segment> {
        let ending = match self.rotation.compression {
            Compression::None => "jsonl",
            Compression::Gzip => "jsonl.gz",
            Compression::Zstd(_) => "jsonl.zst",
        };
        let time: String = now.rfc3339_micro().chars().filter(|c| !matches!(c, '-' | ':')).collect();
        // Another process, or a clock that was set back, may have taken the name.
        for attempt in 0..10_000 {
            let path = self.rotation.directory.join(format!("{PREFIX}{time}-{attempt:04}.{ending}"));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    if self.rotation.fsync != Fsync::Never {
                        File::open(&self.rotation.directory)?.sync_all()?;
                    }
                    self.begun += 1;
                    self.forget_oldest();
                    return Ok(Segment { file, path, length: 0, opened: now });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "no free file name"))
    }

    /// Deletes the oldest recordings beyond the number that is to be kept. What cannot be deleted stays.
    fn forget_oldest(&self) {
        let Some(keep) = self.rotation.max_files else { return };
        let Ok(files) = super::files::recorded(&self.rotation.directory, PREFIX) else { return };
        let surplus = files.len().saturating_sub(keep.max(1));
        for file in &files[..surplus] {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// How the names of recorded files begin.
const PREFIX: &str = "capture-";

fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(now.unix_micros().saturating_sub(since.unix_micros())).unwrap_or(0))
}
