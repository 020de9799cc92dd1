//! Several requests of one task, a stage of each at a time.
//!
//! What one request runs through is half a megabyte of code, each line of it once, and a processor's cache holds less than
//! that beside the data. So a few requests go abreast: each stops at the end of a stage ([`stage`]), and the next one finds
//! the stage's code where the one before has left it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Ends a stage: the requests abreast of this one come up before it goes on.
pub(crate) async fn stage() {
    let mut ended = false;
    poll_fn(|context| {
        if std::mem::replace(&mut ended, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Runs futures in this task until all are done; their results in the same order.
pub(crate) async fn abreast<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut runs: Vec<Run<F>> = futures.into_iter().map(|future| Run::Under(Box::pin(future))).collect();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    poll_fn(|context| {
        *woken.lock() = None;
        let mut inner = Context::from_waker(&waker);
        loop {
            woken.again.store(false, Ordering::Release);
            let mut whole = true;
            for run in &mut runs {
                whole &= run.poll(&mut inner);
            }
            if whole {
                return Poll::Ready(());
            }
            if woken.again.load(Ordering::Acquire) {
                continue;
            }
            // None has anything left to do until it is woken from elsewhere, which may happen at this moment.
            *woken.lock() = Some(context.waker().clone());
            if !woken.again.load(Ordering::Acquire) {
                return Poll::Pending;
            }
            *woken.lock() = None;
        }
    })
    .await;
    runs.into_iter().filter_map(Run::done).collect()
}

enum Run<F: Future> {
    Under(Pin<Box<F>>),
    Done(F::Output),
}

impl<F: Future> Run<F> {
    fn poll(&mut self, context: &mut Context<'_>) -> bool {
        if let Run::Under(future) = self {
            match future.as_mut().poll(context) {
                Poll::Ready(done) => *self = Run::Done(done),
                Poll::Pending => return false,
            }
        }
        true
    }

    fn done(self) -> Option<F::Output> {
        match self {
            Run::Done(done) => Some(done),
            Run::Under(_) => None,
        }
    }
}

/// Wakes the task, and says that there is more to do at once.
#[derive(Default)]
struct Woken {
    again: AtomicBool,
    /// None while the futures are being polled.
    task: Mutex<Option<Waker>>,
}

impl Woken {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.again.store(true, Ordering::Release);
        if let Some(task) = &*self.lock() {
            task.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_stage_of_each_and_results_in_order() {
        let seen = Mutex::new(Vec::new());
        let results = abreast((0..3).map(|run| {
            let seen = &seen;
            async move {
                for part in 0..=run {
                    seen.lock().unwrap().push((part, run));
                    stage().await;
                }
                run * 10
            }
        }))
        .await;
        assert_eq!(results, [0, 10, 20]);
        let seen = seen.into_inner().unwrap();
        assert!(seen.is_sorted(), "a stage of all, then the next: {seen:?}");
    }

    #[tokio::test]
    async fn who_waits_is_woken_and_not_asked_before() {
        let (send, receive) = oneshot::channel();
        let polls = Mutex::new(0);
        let mut receive = Some(receive);
        let waiting = abreast([receive.take()].into_iter().flatten().map(|mut receive| {
            poll_fn({
                let polls = &polls;
                move |context| {
                    *polls.lock().unwrap() += 1;
                    Pin::new(&mut receive).poll(context)
                }
            })
        }));
        tokio::spawn(async {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            send.send(7).unwrap();
        });
        assert_eq!(waiting.await, [Ok(7)]);
        assert_eq!(polls.into_inner().unwrap(), 2, "polled at first, and when it was woken");
    }
}
