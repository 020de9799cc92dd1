use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

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

async fn run(reply: serde_json::Value, options: Options) -> (Replayed, Hook) {
    let hook = Hook::new(&("a".into(), "b".into(), 443), Answerer::Reply(reply)).unwrap();
    let url = format!("https://{}", hook.listen().await.unwrap());
    let endpoint = Endpoint::new(&url, &Trust::Pem(hook.ca_pem().into()), Duration::from_secs(30)).unwrap();
    let log = Log::Bytes { name: "the log", bytes: LOG.as_bytes() };
    let seen = AtomicU64::new(0);
    let replayed =
        replay(&[log], Arc::new(Direct::new(endpoint)), &options, |done| seen.store(done, Ordering::Relaxed))
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
    let replayed = replay(&[log], Arc::new(Direct::new(endpoint)), &Options::default(), |_| ()).await.unwrap();
    assert_eq!(replayed.totals.failed, 3);
    assert!(replayed.failed.keys().next().unwrap().starts_with("cannot connect to 127.0.0.1:1"));
}

#[tokio::test]
async fn a_missing_log_is_an_error_before_anything_is_sent() {
    let endpoint = Endpoint::new("https://127.0.0.1:1", &Trust::Anyone, Duration::from_secs(30)).unwrap();
    let logs = [Log::File("/nowhere".into())];
    let error = replay(&logs, Arc::new(Direct::new(endpoint)), &Options::default(), |_| ()).await.err().unwrap();
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
    let options = Options { rate: Some(2.0), repeat: 5, ..Options::default() };
    let replayed = replay(&[log], Arc::new(Nothing), &options, |_| ()).await.unwrap();
    assert_eq!(replayed.reviews(), 15);
    // 15 records and the two bad lines, half a second apart.
    assert!((7.0..=8.0).contains(&replayed.took.as_secs_f64()), "{:?}", replayed.took);
}
