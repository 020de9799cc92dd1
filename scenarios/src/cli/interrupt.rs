//! Ctrl-C in the middle of something long: what is under way is finished and the result so far is shown.

use std::fmt;
use std::future::Future;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::replay::Stop;

/// 128 and the number of SIGINT, as shells have it.
const CODE: u8 = 130;

/// The result that was shown is a partial one; says what goes on from there.
#[derive(Debug)]
pub(super) struct Interrupted(pub(super) String);

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "interrupted: {}", self.0)
    }
}

impl std::error::Error for Interrupted {}

/// The exit code of an error.
pub(super) fn code(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(if error.is::<Interrupted>() { CODE } else { 2 })
}

/// SIGINT and SIGTERM from now on.
pub(super) struct Signals {
    once: Stop,
    twice: watch::Receiver<bool>,
}

impl Signals {
    /// The first one says stop, the second one ends [`Self::heed`].
    pub(super) fn listen() -> anyhow::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let ((say_once, once), (say_twice, twice)) = (watch::channel(false), watch::channel(false));
        tokio::spawn(async move {
            for say in [say_once, say_twice] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                // Nobody may listen any more.
                let _ = say.send(true);
            }
        });
        Ok(Self { once: Stop::new(once), twice })
    }

    pub(super) fn stop(&self) -> Stop {
        self.once.clone()
    }

    /// What comes of a future; or, after the second signal, nothing.
    pub(super) async fn heed<T>(mut self, future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        tokio::select! {
            done = future => done,
            Ok(_) = self.twice.wait_for(|told| *told) => {
                Err(Interrupted("for the second time, before what was under way was done".to_owned()).into())
            }
        }
    }
}
