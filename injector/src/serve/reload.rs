//! Looks at the files now and then, and loads what has changed once it stands still.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::causes;
use super::files::Stamp;
use super::listener::stopped;
use super::live::{LoadError, Reload};
use super::service::Shared;

/// After this many polls the files are read even if their directory entries look the same: some file systems keep
/// times in whole seconds, and a certificate that was not valid yet may have become so.
const READ_ANYWAY: u32 = 30;

/// The files that are loaded together.
struct Group {
    what: &'static str,
    paths: Vec<PathBuf>,
    seen: Stamp,
    polls: u32,
    /// The message of the last refusal, so that it is logged once and not with every attempt.
    refused: Option<String>,
}

impl Group {
    fn new(what: &'static str, paths: Vec<PathBuf>) -> Self {
        Self { what, seen: Stamp::of(&paths), paths, polls: 0, refused: None }
    }

    /// Whether it is time to read the files. `quiet` is waited for until two looks are the same.
    async fn due(&mut self, quiet: Duration) -> bool {
        self.polls += 1;
        let mut now = look(&self.paths).await;
        if now == self.seen {
            return !self.paths.is_empty() && self.polls.is_multiple_of(READ_ANYWAY);
        }
        // A writer that never rests delays this by ten pauses at most.
        for _ in 0..10 {
            sleep(quiet).await;
            let again = look(&self.paths).await;
            if again == now {
                break;
            }
            now = again;
        }
        self.seen = now;
        true
    }

    fn report(&mut self, outcome: Result<Reload, LoadError>, in_use: &str) {
        match outcome {
            // Logged where it is replaced, so that a reload by signal says the same.
            Ok(Reload::Replaced) if self.what == "configuration" => {}
            Ok(Reload::Replaced) => tracing::info!("{} reloaded", self.what),
            Ok(Reload::Unchanged) => {}
            Err(error) => {
                let message = causes(&error);
                if self.refused.as_ref() != Some(&message) {
                    tracing::error!(
                        error = message,
                        in_use,
                        "new {} refused, the last good one stays in use",
                        self.what
                    );
                }
                self.refused = Some(message);
                return;
            }
        }
        self.refused = None;
    }
}

/// Runs until the server stops.
pub(crate) async fn run(shared: Arc<Shared>, poll: Duration, mut stop: watch::Receiver<bool>) {
    let poll = poll.max(Duration::from_millis(10));
    let mut config = Group::new("configuration", shared.live.paths());
    let mut certificate = Group::new("certificate", shared.certificate.as_ref().map_or_else(Vec::new, |c| c.paths()));
    if config.paths.is_empty() && certificate.paths.is_empty() {
        return;
    }
    let mut ticks = interval(poll);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stopped(&mut stop) => return,
        }
        if config.due(poll / 10).await {
            let outcome = blocking(&shared, |s| s.live.reload(&s.metrics, s.clock.now())).await;
            config.report(outcome, &shared.live.hash());
        }
        if certificate.due(poll / 10).await {
            let outcome = blocking(&shared, |s| match &s.certificate {
                Some(certificate) => certificate.reload(&s.metrics, s.clock.now()),
                None => Ok(Reload::Unchanged),
            })
            .await;
            certificate.report(outcome, "the certificate before");
        }
    }
}

async fn look(paths: &[PathBuf]) -> Stamp {
    let paths = paths.to_vec();
    tokio::task::spawn_blocking(move || Stamp::of(&paths)).await.unwrap_or_else(|_| Stamp::of(&[]))
}

/// Reading and parsing off the threads that answer requests.
async fn blocking(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<Reload, LoadError> + Send + 'static,
) -> Result<Reload, LoadError> {
    let shared = Arc::clone(shared);
    // The task ends early only when the runtime does.
    tokio::task::spawn_blocking(move || work(&shared)).await.unwrap_or(Ok(Reload::Unchanged))
}
