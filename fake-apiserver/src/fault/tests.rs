use std::time::Duration;

use super::{Asked, Effect, Fault, Faults, matches};
use crate::random::Random;

fn faults(text: &str) -> Faults {
    Faults::new(vec![text.parse().unwrap()])
}

#[test]
fn texts_that_are_no_fault_say_what_is_wrong() {
    let error = |text: &str| text.parse::<Fault>().unwrap_err().to_string();
    for (text, expected) in [
        ("", "begin with webhook=NAME or api"),
        ("webhook=", "begin with webhook=NAME or api"),
        ("webhook=a", "say what goes wrong: delay=DURATION, status=CODE, or for webhooks refuse or reset"),
        ("webhook=a,refuse,reset", "only one of refuse, reset and status can happen"),
        ("webhook=a,verb=create", "\"verb=create\" is not known here; known are delay, refuse"),
        ("api,refuse", "\"refuse\" is not known here; known are verb"),
        ("api,status=200", "status: \"200\" is not an HTTP status from 400 to 599"),
        ("api,delay=soon", "delay: \"soon\" is not a duration such as 500ms"),
        ("api,delay=1s,retry-after=1", "retry-after belongs to status=CODE"),
        ("api,delay=1s,probability=2", "probability: \"2\" is not a number from 0 to 1"),
        ("api,delay=1s,probability=NaN", "probability: \"NaN\" is not a number from 0 to 1"),
    ] {
        let error = error(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn stars_stand_for_anything() {
    for (pattern, text, expected) in [
        ("*", "", true),
        ("a*c", "abc", true),
        ("a*c", "ab", false),
        ("*.istio.io", "x.istio.io", true),
        ("a*b*a", "aba", true),
        ("a*b*a", "ab", false),
        ("aa*a", "aa", false),
        ("a", "ab", false),
    ] {
        assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn faults_have_a_time_a_number_and_a_place() {
    let random = Random::new(1);
    let down = faults("webhook=*.example.com,refuse,after=10s,for=5s,times=2");
    let ask = || down.webhook("h.example.com", &random);
    assert_eq!(ask(), None);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(down.webhook("h.example.org", &random), None);
    assert_eq!(ask(), Some((Duration::ZERO, Effect::Refuse)));
    assert!(ask().is_some() && ask().is_none());
    let late = faults("webhook=a,reset,for=5s");
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(late.webhook("a", &random), None);
    let busy = faults("api,verb=create,resource=pods,status=429,retry-after=1,delay=1s");
    let asked = Asked { verb: "create", resource: "pods", ..Asked::default() };
    let status = Effect::Status { code: 429, retry_after: Some(1) };
    assert_eq!(busy.api(&asked, &random), Some((Duration::from_secs(1), status)));
    assert_eq!(busy.api(&Asked { resource: "pods/status", ..asked }, &random), None);
    assert_eq!(busy.webhook("create", &random), None);
}

#[test]
fn chance_comes_from_the_seed() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    let run = |seed| {
        let (faults, random) = (faults("webhook=a,reset,probability=0.25"), Random::new(seed));
        (0..1000).map(|_| faults.webhook("a", &random).is_some()).collect::<Vec<_>>()
    };
    assert_eq!(run(7), run(7));
    let hit = run(7).into_iter().filter(|hit| *hit).count();
    assert!((200..300).contains(&hit), "{hit}");
}
