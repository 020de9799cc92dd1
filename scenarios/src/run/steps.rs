//! Carrying out a scenario's steps.

use std::fmt::Write;
use std::time::Duration;

use apimachinery::value::{Value, json};
use fake_apiserver::admission::Entry;
use http::Method;
use tokio::time::Instant;

use super::check::{self, Findings};
use super::world::World;
use super::{Failure, Outcome};
use crate::cluster::{Answer, Ask};
use crate::scenario::{Expect, Look, ObjectRef, Scenario, StepKind};

/// Requests of a scenario that are kept for machines.
const REQUESTS: usize = 1000;

/// The last request of a scenario.
pub(super) struct Last {
    /// Method and path.
    pub(super) what: String,
    pub(super) answer: Answer,
    /// On the scenario's clock.
    pub(super) took: Duration,
}

struct Runner {
    world: World,
    last: Option<Last>,
    /// Calls of the webhooks before the last step that made requests.
    mark: Vec<usize>,
    trace: String,
    requests: Vec<Value>,
    began: Instant,
    /// Whether the current step made a request.
    asked: bool,
}

/// Runs a scenario on the current runtime's clock.
pub(super) async fn run(scenario: &Scenario) -> Outcome {
    let began = Instant::now();
    let mut outcome = Outcome {
        title: scenario.title.clone(),
        file: scenario.file.clone(),
        steps: 0,
        virtual_time: Duration::ZERO,
        real_time: Duration::ZERO,
        seed: scenario.seed,
        failure: None,
        trace: String::new(),
        requests: Vec::new(),
    };
    let failure = |line, step, word: &str, message| Failure { line, step, word: word.to_owned(), message };
    let world = match World::start(scenario).await {
        Ok(world) => world,
        Err(error) => {
            outcome.failure = Some(failure(0, 0, "cluster", format!("{error:#}")));
            return outcome;
        }
    };
    let mark = world.mark();
    let mut runner =
        Runner { world, last: None, mark, trace: String::new(), requests: Vec::new(), began, asked: false };
    for (index, step) in scenario.steps.iter().enumerate() {
        let word = step.kind.word();
        // A refusal fails the scenario, unless the next step looks at it.
        let looked_at = match scenario.steps.get(index + 1).map(|step| &step.kind) {
            Some(StepKind::Expect(expect)) => {
                expect.status.is_some() || expect.message.is_some() || expect.reason.is_some()
            }
            _ => false,
        };
        runner.asked = false;
        let done = match runner.step(&step.kind).await {
            Ok(()) => runner.refusal().filter(|_| runner.asked && !looked_at),
            Err(error) => Some(format!("{error:#}")),
        };
        if let Some(message) = done {
            outcome.failure = Some(failure(step.line, index + 1, word, message));
            break;
        }
        outcome.steps = index + 1;
    }
    outcome.virtual_time = began.elapsed();
    outcome.trace = runner.trace;
    outcome.requests = runner.requests;
    outcome
}

impl Runner {
    async fn step(&mut self, step: &StepKind) -> anyhow::Result<()> {
        match step {
            StepKind::Apply(objects) | StepKind::Create(objects) => {
                self.mark = self.world.mark();
                for object in objects {
                    let started = Instant::now();
                    let (what, answer) = match step {
                        StepKind::Apply(_) => self.world.apply(object.clone()).await?,
                        _ => self.world.create(object.clone()).await?,
                    };
                    let refused = !answer.is_success();
                    self.requested(what, answer, started);
                    if refused {
                        break;
                    }
                }
                self.reload().await
            }
            StepKind::Patch { object, patch, r#type } => self.patch(object, patch, r#type.content_type()).await,
            StepKind::Label { object, labels } => {
                let patch = json!({ "metadata": { "labels": labels } });
                self.patch(object, &patch, "application/merge-patch+json").await
            }
            StepKind::Restart(object) => {
                let now = self.began.elapsed().as_secs();
                let annotations = json!({ "kubectl.kubernetes.io/restartedAt": format!("{now} s into the scenario") });
                let patch = json!({ "spec": { "template": { "metadata": { "annotations": annotations } } } });
                self.patch(object, &patch, "application/strategic-merge-patch+json").await
            }
            StepKind::Delete(object) => {
                self.mark = self.world.mark();
                let started = Instant::now();
                let (what, answer) = self.world.object(Method::DELETE, object).await?;
                self.requested(what, answer, started);
                self.reload().await
            }
            StepKind::Get(object) => {
                let started = Instant::now();
                let (what, answer) = self.world.object(Method::GET, object).await?;
                self.requested(what, answer, started);
                Ok(())
            }
            StepKind::Fault(fault) => {
                self.world.hook(&fault.webhook)?.fault(fault.kind, fault.lasts);
                self.tell(&format!("fault: {} {:?} {:?}", fault.webhook, fault.kind, fault.lasts));
                Ok(())
            }
            StepKind::Advance(by) => {
                tokio::time::sleep(*by).await;
                self.tell(&format!("advanced by {by:?}"));
                Ok(())
            }
            StepKind::Expect(expect) => self.expect(expect).await,
        }
    }

    async fn patch(&mut self, object: &ObjectRef, patch: &Value, content_type: &'static str) -> anyhow::Result<()> {
        self.mark = self.world.mark();
        let started = Instant::now();
        let ask = Ask::new(Method::PATCH, self.world.path(object)?).body(patch).content_type(content_type);
        let (what, answer) = self.world.send(ask).await;
        self.requested(what, answer, started);
        self.reload().await
    }

    async fn reload(&mut self) -> anyhow::Result<()> {
        for line in self.world.reload().await? {
            self.tell(&line);
        }
        Ok(())
    }

    /// Why the last request was refused, if it was.
    fn refusal(&self) -> Option<String> {
        let last = self.last.as_ref().filter(|last| !last.answer.is_success())?;
        Some(format!(
            "{} was refused: {} {}\n(an expect step with status, message or reason would take it)",
            last.what,
            last.answer.status,
            last.answer.message()
        ))
    }

    fn requested(&mut self, what: String, answer: Answer, started: Instant) {
        let mut line = format!("{what}: {}", answer.status);
        if !answer.is_success() {
            let _ = write!(line, " {}", answer.message());
        }
        for warning in &answer.warnings {
            let _ = write!(line, "\n    warning: {warning}");
        }
        let entries = self.world.named(&answer.trace.entries);
        if self.requests.len() < REQUESTS {
            self.requests.push(json!({
                "seconds": self.began.elapsed().as_secs_f64(), "request": what, "status": answer.status,
                "message": answer.message(), "warnings": answer.warnings,
                "admission": entries.iter().map(Entry::to_json).collect::<Vec<_>>(),
            }));
        }
        for entry in entries {
            let _ = write!(line, "\n    {}", clipped(&entry.to_string()));
        }
        self.tell(&line);
        self.asked = true;
        self.last = Some(Last { what, answer, took: started.elapsed() });
    }

    fn tell(&mut self, line: &str) {
        let _ = writeln!(self.trace, "{:>9.3}s {line}", self.began.elapsed().as_secs_f64());
    }

    async fn expect(&mut self, expect: &Expect) -> anyhow::Result<()> {
        let mut findings = Findings::default();
        check::request(expect, self.last.as_ref(), &mut findings);
        self.look(expect, &mut findings).await?;
        if let Some(calls) = &expect.calls {
            check::calls(calls, &self.world.calls_since(&self.mark), &mut findings);
        }
        if !expect.not_called.is_empty() {
            let entries = self.last.as_ref().map(|last| self.world.named(&last.answer.trace.entries));
            check::not_called(&expect.not_called, &entries.unwrap_or_default(), &mut findings);
        }
        if !expect.events.is_empty() {
            let (_, answer) = self.world.send(Ask::new(Method::GET, "/api/v1/events")).await;
            let events = answer.body["items"].as_array().cloned().unwrap_or_default();
            check::events(&expect.events, &events, &mut findings);
        }
        anyhow::ensure!(findings.0.is_empty(), "{}", findings.0.join("\n"));
        Ok(())
    }

    /// Holds the objects that an expectation is about against it.
    async fn look(&self, expect: &Expect, findings: &mut Findings) -> anyhow::Result<()> {
        match &expect.look {
            Look::Last if check::is_about_objects(expect) => match &self.last {
                Some(last) if last.answer.is_success() => {
                    check::object(expect, &name(&last.answer.body), &last.answer.body, findings);
                }
                Some(last) => findings.0.push(format!(
                    "{} returned no object to look at: {} {}",
                    last.what,
                    last.answer.status,
                    last.answer.message()
                )),
                None => findings.0.push("no request was made before this step".to_owned()),
            },
            Look::Last => {}
            Look::Object(object) => {
                let (what, answer) = self.world.object(Method::GET, object).await?;
                if answer.is_success() {
                    check::object(expect, &object.to_string(), &answer.body, findings);
                } else {
                    findings.0.push(format!("{what}: {} {}", answer.status, answer.message()));
                }
            }
            Look::Absent(object) => {
                let (_, answer) = self.world.object(Method::GET, object).await?;
                if answer.status != 404 {
                    findings.0.push(format!("{object}\n  expected: absent\n  found:    it exists"));
                }
            }
            Look::Pods { labels, namespace } => {
                let pods = self.pods(labels, namespace.as_deref()).await;
                let ready = pods.iter().filter(|pod| check::is_ready(pod)).count() as u64;
                for (what, expected, found) in
                    [("pods", expect.count, pods.len() as u64), ("ready pods", expect.ready, ready)]
                {
                    if let Some(expected) = expected.filter(|expected| *expected != found) {
                        findings.0.push(format!("number of {what}\n  expected: {expected}\n  found:    {found}"));
                    }
                }
                if pods.is_empty() && expect.count != Some(0) {
                    findings.0.push(format!("no pod has the labels {}", Value::Object(labels.clone())));
                }
                for pod in &pods {
                    check::object(expect, &format!("pod {}", name(pod)), pod, findings);
                }
            }
        }
        Ok(())
    }

    async fn pods(&self, labels: &apimachinery::value::Map, namespace: Option<&str>) -> Vec<Value> {
        let path = namespace.map_or_else(|| "/api/v1/pods".to_owned(), |ns| format!("/api/v1/namespaces/{ns}/pods"));
        let (_, answer) = self.world.send(Ask::new(Method::GET, path)).await;
        let mut pods = answer.body["items"].as_array().cloned().unwrap_or_default();
        pods.retain(|pod| {
            labels.iter().all(|(key, wanted)| super::matching::holds(wanted, &pod["metadata"]["labels"][key]))
        });
        pods.into()
    }
}

/// `kind namespace/name`, as far as they are there.
fn name(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &object["metadata"];
    let parts: Vec<String> =
        [text(&metadata["namespace"]), text(&metadata["name"])].into_iter().filter(|part| !part.is_empty()).collect();
    format!("{} {}", text(&object["kind"]).to_lowercase(), parts.join("/")).trim().to_owned()
}

/// A line of a trace that a person can take in.
fn clipped(line: &str) -> String {
    const WIDTH: usize = 300;
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}… ({} bytes)", &line[..end], line.len()),
        None => line.to_owned(),
    }
}
