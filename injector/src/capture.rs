//! Recording the reviews that are answered: the flags that `sidecar-injector serve` and `towtank capture` share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use admission::capture::{Compression, Fsync, Notice, Options, Recorder, Redactor};
use anyhow::Context;
use apimachinery::clock::Clock;
use clap::{Args, ValueEnum};
use ring::rand::SecureRandom;

/// How a recording is made.
#[derive(Args, Clone, Debug, Default)]
pub struct RecordingFlags {
    /// A file of the capture ends before it grows beyond this many bytes (compressed); default: 64Mi
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    rotate_size: Option<u64>,
    /// A file of the capture ends when it is this old; default: 60m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    rotate_age: Option<Duration>,
    /// The oldest files of the capture beyond this number are deleted; default: none is
    #[arg(long, value_name = "NUMBER")]
    max_files: Option<usize>,
    /// How the capture is compressed; default: zstd
    #[arg(long, value_enum)]
    compression: Option<CompressionFlag>,
    /// When the capture is forced to the disk: never, each (whenever something is written), or a time such as 1s, the default
    #[arg(long, value_name = "POLICY", value_parser = fsync)]
    fsync: Option<Fsync>,
    /// Records that may wait to be written; more are dropped and counted; default: 4096
    #[arg(long, value_name = "NUMBER")]
    max_queue: Option<usize>,
    #[command(flatten)]
    redaction: RedactionFlags,
}

/// What is taken out of what is written.
#[derive(Args, Clone, Debug, Default)]
pub struct RedactionFlags {
    /// Whether secrets are taken out of the capture; default: default
    #[arg(long, value_enum)]
    redact: Option<RedactFlag>,
    /// Key of the hashes that stand for secrets, at least 16 bytes; default: random ones, forgotten at the end
    #[arg(long, value_name = "FILE")]
    redact_key_file: Option<PathBuf>,
    /// Names that match this regular expression (of variables, flags, keys, headers) are secret, too
    #[arg(long, value_name = "REGEX")]
    redact_also: Vec<String>,
    /// Names that match this regular expression are no secrets
    #[arg(long, value_name = "REGEX")]
    redact_except: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CompressionFlag {
    /// Small and quick
    Zstd,
    /// JSON lines as they are
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RedactFlag {
    /// By place, name and look of a value
    Default,
    /// Secrets are written as they are
    Off,
}

impl RedactionFlags {
    /// What takes secrets out; `None` with `--redact off`.
    ///
    /// # Errors
    /// The key cannot be read or is short, or a pattern is no regular expression.
    pub fn redactor(&self) -> anyhow::Result<Option<Redactor>> {
        if self.redact == Some(RedactFlag::Off) {
            return Ok(None);
        }
        let key = match &self.redact_key_file {
            Some(file) => {
                let key = std::fs::read(file).with_context(|| format!("--redact-key-file {}", file.display()))?;
                anyhow::ensure!(
                    key.len() >= 16,
                    "--redact-key-file {}: {} bytes are too few, 16 are needed; make one with: head -c 32 /dev/urandom",
                    file.display(),
                    key.len()
                );
                key
            }
            None => {
                let mut key = [0; 32];
                let filled = ring::rand::SystemRandom::new().fill(&mut key);
                anyhow::ensure!(filled.is_ok(), "no random bytes for the key; give one with --redact-key-file");
                key.to_vec()
            }
        };
        Ok(Some(Redactor::new(&key).patterns(&self.redact_also, &self.redact_except)?))
    }
}

impl RecordingFlags {
    /// A flag that was given, if any was: for who records nothing and wants to say so.
    #[must_use]
    pub fn given(&self) -> Option<&'static str> {
        let flags = [
            (self.rotate_size.is_some(), "--rotate-size"),
            (self.rotate_age.is_some(), "--rotate-age"),
            (self.max_files.is_some(), "--max-files"),
            (self.compression.is_some(), "--compression"),
            (self.fsync.is_some(), "--fsync"),
            (self.max_queue.is_some(), "--max-queue"),
            (self.redaction.redact.is_some(), "--redact"),
            (self.redaction.redact_key_file.is_some(), "--redact-key-file"),
            (!self.redaction.redact_also.is_empty(), "--redact-also"),
            (!self.redaction.redact_except.is_empty(), "--redact-except"),
        ];
        flags.into_iter().find(|(given, _)| *given).map(|(_, flag)| flag)
    }

    /// Begins a recording in this directory; trouble goes to the log.
    ///
    /// # Errors
    /// As [`RedactionFlags::redactor`] and [`Recorder::start`].
    pub fn start(&self, directory: &Path, clock: Clock) -> anyhow::Result<Recorder> {
        let defaults = Options::new(directory.to_owned(), self.redaction.redactor()?, clock);
        let options = Options {
            compression: match self.compression {
                Some(CompressionFlag::None) => Compression::None,
                Some(CompressionFlag::Zstd) | None => defaults.compression,
            },
            max_bytes: self.rotate_size.unwrap_or(defaults.max_bytes),
            max_age: self.rotate_age.unwrap_or(defaults.max_age),
            max_files: self.max_files,
            fsync: self.fsync.unwrap_or(defaults.fsync),
            max_queue: self.max_queue.unwrap_or(defaults.max_queue),
            ..defaults
        };
        let heard = |notice| match notice {
            Notice::Failing { message } => {
                tracing::error!(message, "the capture cannot be written; it is tried again, then records are dropped");
            }
            Notice::Recovered { dropped } => tracing::warn!(dropped, "the capture is written again"),
        };
        Recorder::start(options, heard).with_context(|| format!("cannot write a capture to {}", directory.display()))
    }
}

/// A number of bytes: `1000`, `64Ki`, `64Mi`, `1Gi`.
fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match unit.trim_end_matches('B') {
        "" => 0,
        "Ki" => 10,
        "Mi" => 20,
        "Gi" => 30,
        _ => return Err("want a number of bytes, such as 1000, 64Ki, 64Mi, 1Gi".to_owned()),
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift)) {
        Some(bytes) if bytes > 0 => Ok(bytes),
        _ => Err("want a number of bytes above 0, such as 64Mi".to_owned()),
    }
}

fn fsync(text: &str) -> Result<Fsync, String> {
    match text {
        "never" => Ok(Fsync::Never),
        "each" => Ok(Fsync::Each),
        _ => duration(text).map(Fsync::Interval).map_err(|error| format!("want never, each or a time: {error}")),
    }
}

/// A time such as `500ms`, `10s`, `2m`, `1h`.
///
/// # Errors
/// Says what is wanted.
pub fn duration(text: &str) -> Result<Duration, String> {
    let unit = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let number: u64 = number.parse().map_err(|_| "a number and a unit are needed, such as 10s".to_owned())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        "h" => Ok(Duration::from_secs(number.saturating_mul(3600))),
        _ => Err("the unit has to be ms, s, m or h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_policies_are_read() {
        assert_eq!((bytes("1000"), bytes("64Mi"), bytes("1Gi")), (Ok(1000), Ok(64 << 20), Ok(1 << 30)));
        assert!(bytes("0").is_err() && bytes("x").is_err() && bytes("5MB").is_err());
        assert!(bytes("99999999999999Gi").is_err());
        assert_eq!(fsync("each"), Ok(Fsync::Each));
        assert_eq!(fsync("2s"), Ok(Fsync::Interval(Duration::from_secs(2))));
        assert!(fsync("sometimes").is_err());
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
    }

    #[test]
    fn a_short_key_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        std::fs::write(&file, "short").unwrap();
        let flags = RedactionFlags { redact_key_file: Some(file), ..RedactionFlags::default() };
        assert!(flags.redactor().unwrap_err().to_string().contains("5 bytes are too few"));
        assert!(RedactionFlags::default().redactor().unwrap().is_some(), "on by default");
        let off = RedactionFlags { redact: Some(RedactFlag::Off), ..RedactionFlags::default() };
        assert!(off.redactor().unwrap().is_none());
    }
}
