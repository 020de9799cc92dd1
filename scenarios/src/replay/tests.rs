use std::sync::atomic::{AtomicU64, Ordering};

use apimachinery::value::json;

use super::*;
use crate::hook::{Answerer, Hook};
use crate::https::{Endpoint, Trust};
use crate::report::{Style, render};

const LOG: &str = concat!(
    r#"{"body":{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"1","namespace":"shop","object":{"metadata":{"ownerReferences":[{"kind":"Node"},{"kind":"ReplicaSet","controller":true}]}}}}}"#,
    "\ngarbage\n",
    r#"{"body":"not a review"}"#,
    "\n",
    r#"{"body":{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1","request":{"uid":"2","namespace":"data"}}}"#,
    "\n{\"body\":\"torn",
);

async fn run(reply: apimachinery::value::Value, options: Options) -> (Replayed, Hook) {
    let hook = Hook::new(&("a".into(), "b".into(), 443), Answerer::Reply(reply)).unwrap();
    let url = format!("https://{}", hook.listen().await.unwrap());
    let endpoint = Endpoint::new(&url, &Trust::Pem(hook.ca_pem().into()), Duration::from_secs(30)).unwrap();
    let log = Log::Bytes { name: "the log", bytes: LOG.as_bytes() };
    let seen = AtomicU64::new(0);
    let replayed =
        replay(&[log], Arc::new(Direct::new(Webhook::Url { endpoint, injector: false })), &options, |done| {
            seen.store(done.reviews, Ordering::Relaxed)
        })
        .await
        .unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), replayed.reviews());
    (replayed, hook)
}

#[tokio::test]
async fn every_record_is_sent_and_counted_and_bad_lines_are_named() {
    let reply = json!({"allowed": true, "patch": [{"op": "add", "path": "/x", "value": 1}]});
    let (replayed, hook) = run(reply, Options { repeat: 3, ..Options::default() }).await;
    assert_eq!(hook.calls().len(), 9);
    // The body that is no review is answered with 400 by this webhook.
    assert_eq!((replayed.totals.injected, replayed.totals.failed), (6, 3));
    assert_eq!(
        replayed.failed.keys().next().unwrap(),
        "HTTP 400: body is not an AdmissionReview: expected ident at line 1 column 2"
    );
    let group = Subject { namespace: "shop".into(), owner: "ReplicaSet".into() };
    assert_eq!(replayed.groups[&group].injected, 3);
    assert_eq!(replayed.unreadable, 2, "told once, however often the log is repeated");
    assert_eq!(replayed.problems[0], "the log: line 2: not a record: expected value at line 1 column 1");
    assert_eq!(replayed.problems[1], "the log: line 5: torn: the log ends within it");
    assert!(!replayed.is_ok());
    let text = render(&replayed, Style::default());
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.contains("shop") && text.contains("ReplicaSet"), "{text}");
    assert_eq!(replayed.json()["totals"]["injected"], 6);
}

#[tokio::test]
async fn skips_and_denials_say_why() {
    let skipped = json!({"allowed": true, "patch": "W10=", "auditAnnotations": {"injection": "not injected (label x: \"false\" (no))"}});
    let (replayed, _) = run(skipped, Options { concurrency: 1, ..Options::default() }).await;
    assert_eq!(replayed.skipped.get("label x: \"false\" (no)"), Some(&2));
    let (replayed, _) = run(json!({"allowed": false, "status": {"message": "no\nway"}}), Options::default()).await;
    assert_eq!(replayed.denied.get("no way"), Some(&2));
    let (replayed, _) = run(json!({"allowed": true, "warnings": ["because"]}), Options::default()).await;
    assert_eq!(replayed.skipped.get("because"), Some(&2));
}

#[tokio::test]
async fn an_unreachable_webhook_fails_every_review() {
    let endpoint = Endpoint::new("https://127.0.0.1:1", &Trust::Anyone, Duration::from_secs(30)).unwrap();
    let log = Log::Bytes { name: "log", bytes: LOG.as_bytes() };
    let replayed =
        replay(&[log], Arc::new(Direct::new(Webhook::Url { endpoint, injector: false })), &Options::default(), |_| ())
            .await
            .unwrap();
    assert_eq!(replayed.totals.failed, 3);
    assert!(replayed.failed.keys().next().unwrap().starts_with("cannot connect to 127.0.0.1:1"));
}

#[tokio::test]
async fn a_missing_log_is_an_error_before_anything_is_sent() {
    let endpoint = Endpoint::new("https://127.0.0.1:1", &Trust::Anyone, Duration::from_secs(30)).unwrap();
    let logs = [Log::File("/nowhere".into())];
    let error =
        replay(&logs, Arc::new(Direct::new(Webhook::Url { endpoint, injector: false })), &Options::default(), |_| ())
            .await
            .err()
            .unwrap();
    assert!(error.to_string().starts_with("cannot read log /nowhere: No such file"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_kept() {
    struct Nothing;
    impl Target for Nothing {
        fn worker(&self) -> Box<dyn Worker> {
            Box::new(Nothing)
        }
    }
    impl Worker for Nothing {
        fn send<'a>(
            &'a mut self,
            _: &'a ::admission::capture::Record,
        ) -> std::pin::Pin<Box<dyn Future<Output = (Subject, Verdict)> + Send + 'a>> {
            Box::pin(async { (Subject::unknown(), Verdict::Injected) })
        }
    }
    let log = Log::Bytes { name: "log", bytes: LOG.as_bytes() };
    let options = Options { pace: Pace::Rate(2.0), repeat: 5, ..Options::default() };
    let replayed = replay(&[log], Arc::new(Nothing), &options, |_| ()).await.unwrap();
    assert_eq!(replayed.reviews(), 15);
    // 15 records, half a second apart.
    assert!((7.0..=7.1).contains(&replayed.took.as_secs_f64()), "{:?}", replayed.took);
}

/// A target that counts what it is sent, and stops answering after so many.
struct Counting {
    sent: Arc<AtomicU64>,
    until: u64,
}

impl Target for Counting {
    fn worker(&self) -> Box<dyn Worker> {
        Box::new(Self { sent: Arc::clone(&self.sent), until: self.until })
    }
}

impl Worker for Counting {
    fn send<'a>(
        &'a mut self,
        record: &'a ::admission::capture::Record,
    ) -> std::pin::Pin<Box<dyn Future<Output = (Subject, Verdict)> + Send + 'a>> {
        Box::pin(async move {
            if self.sent.fetch_add(1, Ordering::Relaxed) >= self.until {
                std::future::pending::<()>().await;
            }
            (Subject::new(&format!("ns{}", record.seq % 3), ""), Verdict::Injected)
        })
    }
}

fn numbered(count: u64) -> (tempfile::TempDir, Log) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.jsonl");
    let lines: String = (1..=count).map(|seq| format!("{{\"seq\":{seq},\"body\":\"{{}}\"}}\n")).collect();
    std::fs::write(&path, lines).unwrap();
    (directory, Log::File(path))
}

#[tokio::test]
async fn a_replay_that_was_killed_goes_on_without_loss_or_double_count() {
    let (directory, log) = numbered(1000);
    let logs = [log];
    let options = |file: &str| {
        let identity = Identity::new(&logs, 2, Shard { index: 0, of: 1 }, "somewhere".to_owned());
        let state = State::new(directory.path().join(file), identity).every(Duration::ZERO);
        Options { repeat: 2, state: Some(state), ..Options::default() }
    };
    let run = |until, file: &'static str| {
        let (logs, options) = (logs.clone(), options(file));
        async move {
            let sent = Arc::new(AtomicU64::new(0));
            let target = Arc::new(Counting { sent: Arc::clone(&sent), until });
            (replay(&logs, target, &options, |_| ()).await, sent)
        }
    };
    // Dropped in the second round, which is as good as killed: nothing is written on the way out.
    let far = tokio::sync::Notify::new();
    let (killed, target) = (options("state"), Arc::new(Counting { sent: Arc::default(), until: 1500 }));
    let told = |progress: Progress| {
        if progress.reviews >= 1200 {
            far.notify_one();
        }
    };
    tokio::select! {
        _ = replay(&logs, target, &killed, told) => unreachable!("it waits for answers that never come"),
        () = far.notified() => {}
    }
    let kept = options("state").state.unwrap().load().unwrap();
    assert!(!kept.complete && kept.position.is_some_and(|position| position.round == 1), "{:?}", kept.position);
    assert!((1200..=1500).contains(&kept.replayed.reviews()), "{}", kept.replayed.reviews());

    let (replayed, sent) = run(u64::MAX, "state").await;
    let replayed = replayed.unwrap();
    assert_eq!(sent.load(Ordering::Relaxed), 2000 - kept.replayed.reviews());
    let (whole, _) = run(u64::MAX, "other").await;
    let whole = whole.unwrap();
    assert_eq!((replayed.totals, &replayed.groups), (whole.totals, &whole.groups));
    assert_eq!((replayed.totals.injected, replayed.latency.len()), (2000, 2000));

    let (again, sent) = run(u64::MAX, "state").await;
    assert_eq!((again.unwrap().totals, sent.load(Ordering::Relaxed)), (whole.totals, 0), "it was complete");
}

#[tokio::test]
async fn the_state_of_another_replay_is_refused() {
    let (directory, log) = numbered(1);
    let state = |target: &str| {
        let identity = Identity::new(std::slice::from_ref(&log), 1, Shard { index: 0, of: 1 }, target.to_owned());
        State::new(directory.path().join("state"), identity)
    };
    state("a").save(None, false, &Replayed::default()).unwrap();
    assert!(state("a").load().is_ok());
    assert!(state("b").load().unwrap_err().to_string().contains("is of another replay"));
    std::fs::write(directory.path().join("state"), "{").unwrap();
    assert!(state("a").load().unwrap_err().to_string().contains("remove it to begin anew"));
}

#[tokio::test]
async fn shards_put_together_are_the_whole() {
    let (_directory, log) = numbered(100);
    let part = |shard| {
        let logs = [log.clone()];
        async move {
            let target = Arc::new(Counting { sent: Arc::default(), until: u64::MAX });
            replay(&logs, target, &Options { shard, ..Options::default() }, |_| ()).await.unwrap()
        }
    };
    let whole = part(Shard::parse("0/1").unwrap()).await;
    let mut merged = Replayed::default();
    for index in 0..3 {
        let shard = part(Shard { index, of: 3 }).await;
        assert!((33..=34).contains(&shard.reviews()));
        merged.merge(&Replayed::from_json(&shard.json()).unwrap());
    }
    assert_eq!((merged.totals, &merged.groups), (whole.totals, &whole.groups));
    assert_eq!(merged.latency.len(), 100);
    assert_eq!(Replayed::from_json(&merged.json()).unwrap().json(), merged.json(), "nothing is lost on the way");
    for bad in ["", "1", "2/2", "-1/2", "0/0", "a/b"] {
        assert!(Shard::parse(bad).is_err(), "{bad}");
    }
}

#[tokio::test(start_paused = true)]
async fn latency_counts_from_the_intended_start() {
    /// Answers after 10 s, as long as one is asked.
    struct Slow;
    impl Target for Slow {
        fn worker(&self) -> Box<dyn Worker> {
            Box::new(Self)
        }
    }
    impl Worker for Slow {
        fn send<'a>(
            &'a mut self,
            _: &'a ::admission::capture::Record,
        ) -> std::pin::Pin<Box<dyn Future<Output = (Subject, Verdict)> + Send + 'a>> {
            Box::pin(async {
                tokio::time::sleep(Duration::from_secs(10)).await;
                (Subject::unknown(), Verdict::Injected)
            })
        }
    }
    let (_directory, log) = numbered(5);
    let options = |concurrency| Options { pace: Pace::Rate(1.0), concurrency, ..Options::default() };
    let open = replay(std::slice::from_ref(&log), Arc::new(Slow), &options(100), |_| ()).await.unwrap();
    assert!((13.9..=14.1).contains(&open.took.as_secs_f64()), "begun each second: {:?}", open.took);
    let narrow = replay(&[log], Arc::new(Slow), &options(1), |_| ()).await.unwrap();
    // The fifth was due after 4 s and answered after 50.
    assert!((45.5..=46.5).contains(&narrow.percentile(100.0).as_secs_f64()), "{:?}", narrow.percentile(100.0));
}
