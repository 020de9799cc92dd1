//! What a container has printed.

use std::time::Duration;

use apimachinery::clock::Timestamp;
use apimachinery::value::Value;

use super::program::{self, argv, image_name};
use super::text;

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Microseconds since 1970.
    pub(crate) at: i64,
    pub(crate) text: String,
}

/// How a log is asked for: the query parameters of `pods/log`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) timestamps: bool,
    pub(crate) tail: Option<usize>,
    /// Unix seconds.
    pub(crate) since: Option<i64>,
    pub(crate) limit: Option<usize>,
}

/// Whether this is Istio's agent in front of an Envoy.
pub(crate) fn is_agent(argv: &[String]) -> bool {
    let agent = argv.first().is_some_and(|path| path.ends_with("pilot-agent"));
    agent && argv.get(1).is_some_and(|word| word == "proxy")
}

/// What a container printed from its start (Unix seconds) up to now.
pub(crate) fn lines(pod: &Value, container: &Value, is_task: bool, since: i64, until: i64) -> Vec<Line> {
    let micros = |at: Duration| {
        since.saturating_mul(1_000_000).saturating_add(i64::try_from(at.as_micros()).unwrap_or(i64::MAX))
    };
    let argv = argv(pod, container);
    if is_agent(&argv) {
        return agent(pod, &argv).into_iter().map(|(at, text)| Line { at: micros(at), text }).collect();
    }
    let horizon = Duration::from_secs(u64::try_from(until - since).unwrap_or(0));
    let run = program::run(pod, container, is_task, since, horizon);
    let mut lines: Vec<Line> = Vec::new();
    let mut open = false;
    for output in &run.output {
        let printed = String::from_utf8_lossy(&output.bytes);
        for piece in printed.split_inclusive('\n') {
            let text = piece.trim_end_matches('\n');
            match lines.last_mut().filter(|_| open) {
                Some(line) => line.text.push_str(text),
                None => lines.push(Line { at: micros(output.at), text: text.to_owned() }),
            }
            open = !piece.ends_with('\n');
        }
    }
    lines
}

/// The first words of Istio's agent, as far as the pod says what they are.
fn agent(pod: &Value, argv: &[String]) -> Vec<(Duration, String)> {
    let stamp = |at: u64| Duration::from_millis(at);
    let mut lines = Vec::new();
    let mut say = |at: u64, text: String| lines.push((stamp(at), format!("info\t{text}")));
    let (name, namespace) = (text(pod, "/metadata/name"), text(pod, "/metadata/namespace"));
    let version = text(pod, "/spec/containers/0/image");
    for word in argv.windows(2).filter(|pair| pair[0].starts_with("--")) {
        say(0, format!("FLAG: {}={:?}", word[0], word[1]));
    }
    say(2, format!("Version {}", image_name(version)));
    say(
        4,
        format!(
            "Proxy role: ip={} id={name}.{namespace} domain={namespace}.svc.cluster.local",
            text(pod, "/status/podIP")
        ),
    );
    let envoy = program::processes(pod, &apimachinery::value::json!({ "command": argv }), 0);
    let command = envoy.last().map(|process| process.argv[1..].join(" ")).unwrap_or_default();
    say(8, "Starting proxy agent".to_owned());
    say(10, format!("Envoy command: [{command}]"));
    say(900, "Envoy proxy is ready".to_owned());
    lines
}

/// The log as the kubelet gives it out.
pub(crate) fn render(lines: &[Line], asked: &Asked) -> Vec<u8> {
    let from = asked.since.unwrap_or(i64::MIN).saturating_mul(1_000_000);
    let kept: Vec<&Line> = lines.iter().filter(|line| line.at >= from).collect();
    let first = asked.tail.map_or(0, |tail| kept.len().saturating_sub(tail));
    let mut out = Vec::new();
    for line in &kept[first..] {
        out.extend(show(line, asked.timestamps));
    }
    if let Some(limit) = asked.limit {
        out.truncate(limit);
    }
    out
}

/// A line with its end, and its time if that was asked for.
pub(crate) fn show(line: &Line, timestamps: bool) -> Vec<u8> {
    let stamp = Timestamp::from_unix_micros(line.at).rfc3339_micro();
    let stamp = if timestamps { format!("{} ", stamp.replace('Z', "000Z")) } else { String::new() };
    format!("{stamp}{}\n", line.text).into_bytes()
}
