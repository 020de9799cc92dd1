use super::*;

fn taken(queue: &Queue) -> Option<String> {
    let mut inner = queue.lock();
    inner.move_due(Instant::now());
    let key = inner.ready.pop_front()?;
    inner.dirty.remove(&key);
    inner.in_hand.insert(key.clone());
    Some(key.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_key_is_in_one_hand_at_a_time() {
    let queue = Queue::new(BackOff::STANDARD);
    queue.add("a");
    queue.add("a");
    assert_eq!(&*queue.next().await, "a");
    queue.add("a");
    assert_eq!(taken(&queue), None, "it is being worked on");
    queue.done("a");
    assert_eq!(&*queue.next().await, "a");
    queue.done("a");
    assert_eq!(taken(&queue), None);
}

#[tokio::test(start_paused = true)]
async fn failures_double_the_delay_until_success() {
    let queue = Queue::new(BackOff::STANDARD);
    let mut waits = Vec::new();
    for _ in 0..5 {
        let begin = Instant::now();
        queue.add_rate_limited("a");
        queue.done(&queue.next().await);
        waits.push(begin.elapsed().as_millis());
    }
    // tokio's timer has a resolution of one millisecond
    assert_eq!(waits, [5, 10, 20, 40, 80]);
    queue.forget("a");
    let begin = Instant::now();
    queue.add_rate_limited("a");
    queue.done(&queue.next().await);
    assert_eq!(begin.elapsed().as_millis(), 5);
}

#[tokio::test(start_paused = true)]
async fn jobs_wait_seconds_up_to_a_minute() {
    let queue = Queue::new(BackOff::JOB);
    let mut waits = Vec::new();
    for _ in 0..8 {
        let begin = Instant::now();
        queue.add_rate_limited("a");
        queue.done(&queue.next().await);
        waits.push(begin.elapsed().as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
}

#[tokio::test(start_paused = true)]
async fn the_earlier_of_two_delays_holds() {
    let queue = Queue::new(BackOff::STANDARD);
    let begin = Instant::now();
    queue.add_after("a", Duration::from_secs(5));
    queue.add_after("a", Duration::from_secs(1));
    queue.add_after("a", Duration::from_secs(9));
    queue.done(&queue.next().await);
    assert_eq!(begin.elapsed().as_secs(), 1);
    tokio::time::advance(Duration::from_secs(20)).await;
    assert_eq!(taken(&queue), None, "the other delays were replaced");
}

#[tokio::test(start_paused = true)]
async fn many_failing_keys_share_a_bucket() {
    let queue = Queue::new(BackOff::STANDARD);
    let begin = Instant::now();
    for n in 0..150 {
        queue.add_rate_limited(format!("k{n}"));
    }
    for _ in 0..150 {
        queue.done(&queue.next().await);
    }
    assert_eq!(begin.elapsed().as_secs(), 5, "100 in store, then ten a second");
}
