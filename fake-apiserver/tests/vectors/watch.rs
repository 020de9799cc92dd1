//! Watch streams: begun before the first step, as recorded, and read when their step comes.

use std::time::Duration;

use apimachinery::value::{List, Value, json};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::client::{Answer, Client, MERGE, maybe, pause};
use crate::program::pairs;
use crate::run::Run;
use crate::text::Side;

/// A watch that runs.
pub(crate) struct Watch {
    index: usize,
    answer: JoinHandle<Answer>,
    seconds: u64,
}

fn number(path: &str, name: &str) -> Option<u64> {
    path.split(['?', '&']).find_map(|part| part.strip_prefix(name)).and_then(|text| text.parse().ok())
}

impl Watch {
    /// Begins the watch of a case, if it has one.
    pub(crate) async fn begin(run: &Run) -> Option<Watch> {
        let steps = run.steps();
        let index = steps.iter().position(|step| step["name"] == "watch stream")?;
        if run.text.contains("ref-world") {
            for n in 0..3 {
                let annotate = json!({"metadata": {"annotations": {"n": n.to_string()}}});
                run.client.patch("/api/v1/namespaces/ref-world/pods/p0", MERGE, annotate).await;
            }
        }
        let request = &steps[index]["request"];
        let mut path = run.to_live(request["path"].as_str().unwrap_or_default());
        if let Some(recorded) = number(&path, "resourceVersion=").filter(|n| (100..99_999_999).contains(n)) {
            let list = run.client.get(path.split('?').next().unwrap_or_default()).await.body;
            let current = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
            path = path.replace(&format!("resourceVersion={recorded}"), &format!("resourceVersion={current}"));
        }
        let seconds = number(&path, "timeoutSeconds=").unwrap_or(3);
        let (client, headers): (Client, _) = (run.client.clone(), pairs(&request["headers"]));
        let answer = tokio::spawn(async move { client.send("GET", &path, &headers, &Value::Null, true).await });
        pause(0.4).await;
        Some(Watch { index, answer, seconds })
    }

    pub(crate) fn is_step(&self, index: usize) -> bool {
        self.index == index
    }

    /// Waits for the end of the stream and compares it.
    pub(crate) async fn finish(self, run: &mut Run) {
        let place = format!("step {} watch stream", self.index);
        let recorded = run.steps()[self.index]["response"].clone();
        let Ok(answer) = timeout(Duration::from_secs(self.seconds + 5), self.answer).await else {
            return run.differs("watch", place, json!("closed by the server"), json!("still open"));
        };
        let answer = answer.unwrap();
        if recorded["status"] != answer.status {
            return run.differs("status", place, recorded["status"].clone(), answer.status.into());
        }
        let live: Vec<Value> = answer.text.lines().map(maybe).collect();
        let none = List::new();
        let events = recorded["events"].as_array().unwrap_or(&none);
        events.iter().for_each(|event| run.recorded.collect(event));
        live.iter().for_each(|event| run.live.collect(event));
        let (a, b) = (run.view(events, &run.recorded), run.view(&live, &run.live));
        if a != b {
            run.differs("watch", place.clone(), a.into(), b.into());
        }
        if recorded["headers"].is_array() {
            run.headers(&place, &pairs(&recorded["headers"]), &answer.headers);
        }
    }
}

fn is_bookmark(event: &Value) -> bool {
    event["type"] == "BOOKMARK"
}

impl Run {
    /// Events as they are compared: bookmarks that merely tell the time are one, in whatever number they came.
    fn view(&self, events: &[Value], side: &Side) -> Vec<Value> {
        let mut seen: Vec<Value> = Vec::new();
        for event in events {
            let mut event = side.object(event, false);
            if is_bookmark(&event) && !event.to_string().contains("k8s.io/initial-events-end") {
                event = json!({"type": "BOOKMARK", "kind": event["object"]["kind"]});
                if !self.id().contains("bookmark") {
                    continue;
                }
            }
            if !is_bookmark(&event) || seen.last() != Some(&event) {
                seen.push(event);
            }
        }
        if self.text.contains("ref-world") || self.id().contains("watch-send-initial") {
            let (bookmarks, mut others): (Vec<_>, Vec<_>) = seen.into_iter().partition(is_bookmark);
            others.sort_by_key(Value::to_string);
            others.extend(bookmarks);
            return others;
        }
        seen
    }
}
