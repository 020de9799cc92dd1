//! How a webhook misbehaves at the moment.

use std::time::Duration;

use tokio::time::Instant;

use crate::scenario::FaultKind;

pub(super) struct Faults {
    kind: FaultKind,
    until: Option<Instant>,
}

impl Default for Faults {
    fn default() -> Self {
        Self { kind: FaultKind::None, until: None }
    }
}

impl Faults {
    pub(super) fn set(&mut self, kind: FaultKind, lasts: Option<Duration>) {
        *self = Self { kind, until: lasts.map(|lasts| Instant::now() + lasts) };
    }

    /// What is in force now, on the runtime's clock.
    pub(super) fn now(&mut self) -> FaultKind {
        if self.until.is_some_and(|until| until <= Instant::now()) {
            *self = Self::default();
        }
        self.kind
    }
}
