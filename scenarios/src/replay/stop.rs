//! Ending early: what is under way is finished, and no more is begun.

use std::future::Future;

use tokio::sync::watch;

/// Says when no more is to be begun. Clones hear the same; the default never says it.
#[derive(Clone, Debug, Default)]
pub struct Stop(Option<watch::Receiver<bool>>);

impl Stop {
    /// One that says it as soon as `true` is sent.
    #[must_use]
    pub const fn new(told: watch::Receiver<bool>) -> Self {
        Self(Some(told))
    }

    /// Whether it was said.
    pub(crate) fn told(&self) -> bool {
        self.0.as_ref().is_some_and(|told| *told.borrow())
    }

    /// What comes of a future, or nothing if it is said before.
    pub(crate) async fn or<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let Some(told) = &mut self.0 else { return Some(future.await) };
        tokio::select! {
            biased;
            // If nobody is left who could say it, it will not be said.
            Ok(_) = told.wait_for(|told| *told) => None,
            done = future => Some(done),
        }
    }
}
