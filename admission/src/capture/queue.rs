//! The queue between those who answer requests and the one who writes: bounded in number and bytes, and never waited for.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Exchange;

pub(super) struct Queue {
    state: Mutex<State>,
    /// The writer waits here.
    wake: Condvar,
    /// Those who wait for a flush wait here.
    flushed: Condvar,
    max_records: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct State {
    exchanges: VecDeque<Exchange>,
    bytes: usize,
    stopping: bool,
    /// Flushes asked for, and done.
    asked: u64,
    done: u64,
}

/// What the writer is to do.
pub(super) struct Work {
    pub(super) exchanges: VecDeque<Exchange>,
    pub(super) stopping: bool,
    /// The flush to acknowledge once these are written.
    pub(super) flush: Option<u64>,
}

impl Queue {
    pub(super) fn new(max_records: usize, max_bytes: usize) -> Self {
        let state = Mutex::new(State::default());
        Self { state, wake: Condvar::new(), flushed: Condvar::new(), max_records, max_bytes }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an exchange in; false if there is no room, or nobody takes any more.
    pub(super) fn offer(&self, exchange: Exchange) -> bool {
        let size = exchange.size();
        let mut state = self.lock();
        if state.stopping || state.exchanges.len() >= self.max_records || state.bytes + size > self.max_bytes {
            return false;
        }
        state.bytes += size;
        state.exchanges.push_back(exchange);
        // The writer takes all there is at once: only the first needs to wake it.
        let first = state.exchanges.len() == 1;
        drop(state);
        if first {
            self.wake.notify_one();
        }
        true
    }

    /// Takes everything, waiting for something to do, at most this long.
    pub(super) fn take(&self, at_most: Duration) -> Work {
        let idle = |state: &mut State| state.exchanges.is_empty() && !state.stopping && state.asked == state.done;
        let (mut state, _) =
            self.wake.wait_timeout_while(self.lock(), at_most, idle).unwrap_or_else(PoisonError::into_inner);
        state.bytes = 0;
        let exchanges = std::mem::take(&mut state.exchanges);
        let flush = (state.asked > state.done).then_some(state.asked);
        Work { exchanges, stopping: state.stopping, flush }
    }

    /// Waits without taking anything, until the time is over or the recording is to end; true if it is to end.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let (state, _) = self
            .wake
            .wait_timeout_while(self.lock(), time, |state| !state.stopping)
            .unwrap_or_else(PoisonError::into_inner);
        state.stopping
    }

    pub(super) fn acknowledge(&self, flush: u64) {
        let mut state = self.lock();
        state.done = state.done.max(flush);
        drop(state);
        self.flushed.notify_all();
    }

    /// Asks for a flush and waits for it, at most this long; false if it did not come.
    pub(super) fn flush(&self, at_most: Duration) -> bool {
        let mut state = self.lock();
        if state.stopping {
            return false;
        }
        state.asked += 1;
        let mine = state.asked;
        self.wake.notify_one();
        let (state, _) = self
            .flushed
            .wait_timeout_while(state, at_most, |state| state.done < mine)
            .unwrap_or_else(PoisonError::into_inner);
        state.done >= mine
    }

    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.wake.notify_all();
    }

    /// Records that wait.
    pub(super) fn len(&self) -> usize {
        self.lock().exchanges.len()
    }
}
