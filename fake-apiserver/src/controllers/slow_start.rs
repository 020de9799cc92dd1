//! Doing a thing many times, first once, then twice, then four times at a time, and stopping after the first batch with an
//! error: a webhook that refuses pods gets one call per try, not one per replica.

use std::future::Future;

use futures_util::future::join_all;

/// Does `act(0) … act(count - 1)` in batches of 1, 2, 4, …. The answer is how many succeeded, and the first error.
pub(crate) async fn slow_start<F, Fut, E>(count: usize, mut act: F) -> (usize, Option<E>)
where
    F: FnMut(usize) -> Fut,
    Fut: Future<Output = Result<(), E>>,
{
    let (mut done, mut succeeded, mut batch) = (0, 0, 1);
    while done < count {
        let size = batch.min(count - done);
        let results = join_all((done..done + size).map(&mut act)).await;
        done += size;
        let mut failure = None;
        for result in results {
            match result {
                Ok(()) => succeeded += 1,
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if failure.is_some() {
            return (succeeded, failure);
        }
        batch *= 2;
    }
    (succeeded, None)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn batches_double() {
        let calls = Mutex::new(Vec::new());
        let result: (usize, Option<()>) = slow_start(10, |n| {
            calls.lock().unwrap().push(n);
            async { Ok(()) }
        })
        .await;
        assert_eq!(result, (10, None));
        assert_eq!(calls.into_inner().unwrap(), (0..10).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn the_batch_with_an_error_is_the_last() {
        // the first is done, the second of the batch of two fails, the other seven are never tried
        let calls = Mutex::new(0);
        let result = slow_start(10, |n| {
            *calls.lock().unwrap() += 1;
            async move { if n == 2 { Err("no") } else { Ok(()) } }
        })
        .await;
        assert_eq!(result, (2, Some("no")));
        assert_eq!(calls.into_inner().unwrap(), 3);
        let refused = slow_start(10, |_| async { Err::<(), _>("no") }).await;
        assert_eq!(refused, (0, Some("no")), "a hook that refuses is called once");
    }
}
