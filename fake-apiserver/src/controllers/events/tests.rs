use super::correlate::{Correlator, Verdict};
use super::*;

fn happening(message: &str, seconds: i64) -> Happening {
    Happening {
        host: String::new(),
        involved: json!({ "kind": "ReplicaSet", "name": "web", "uid": "u", "namespace": "n" }),
        event_type: "Normal",
        reason: "SuccessfulCreate",
        message: message.to_owned(),
        time: "2026-11-22T07:38:13Z".to_owned(),
        seconds,
        stamp: 1,
    }
}

/// Judges and, if it is to be written, pretends to have written it: the text and its count, or none.
fn next(correlator: &mut Correlator, happening: &Happening) -> Option<(String, i64)> {
    match correlator.judge(happening) {
        Verdict::Silence => None,
        Verdict::Write { known, message } => {
            let count = known.map_or(1, |known| known.count + 1);
            correlator.wrote(happening, &message, "web.1", count, "t");
            Some((message, count))
        }
    }
}

#[test]
fn the_same_text_counts_up() {
    let mut correlator = Correlator::default();
    assert_eq!(next(&mut correlator, &happening("no", 0)), Some(("no".to_owned(), 1)));
    assert_eq!(next(&mut correlator, &happening("no", 1)), Some(("no".to_owned(), 2)));
    assert_eq!(next(&mut correlator, &happening("other", 1)), Some(("other".to_owned(), 1)));
}

#[test]
fn a_runaway_is_combined_and_silenced() {
    // webhook-removes-selector-label: nine events, the tenth stands for 16, then nothing
    let mut correlator = Correlator::default();
    let seen: Vec<_> = (0..193).filter_map(|n| next(&mut correlator, &happening(&format!("pod {n}"), 0))).collect();
    assert_eq!(seen.len(), 25);
    assert!(seen[..9].iter().enumerate().all(|(n, seen)| *seen == (format!("pod {n}"), 1)));
    assert_eq!(seen[24], ("(combined from similar events): pod 24".to_owned(), 16));
    assert_eq!(next(&mut correlator, &happening("late", 299)), None);
    assert!(next(&mut correlator, &happening("late", 301)).is_some(), "one more in five minutes");
}
