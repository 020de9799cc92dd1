//! A pod's life on its node: one observable step at a time, as a kubelet reports it.
//!
//! ```text
//! assigned ──► ContainerCreating ──► sandbox, address ──► init containers, one after the other ──► containers
//!                                     sidecars (init containers with restartPolicy Always) stay    ready, ended, started again
//! ```
//!
//! All that is remembered is in the pod's status. Times are whole seconds, as the API has them. Probes succeed the first time
//! they are made: after `initialDelaySeconds`.

mod containers;
mod report;
#[cfg(test)]
mod tests;

use std::time::Duration;

use apimachinery::value::{Value, json};

use self::containers::{Box_, Role, State};
use super::{items, text};
use crate::time;

/// The node, and the time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host<'a> {
    /// The node's own address.
    pub(crate) address: &'a str,
    /// The address that the pod gets.
    pub(crate) pod_address: &'a str,
    /// Unix seconds.
    pub(crate) now: i64,
}

/// Something to be told in an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Happening {
    pub(crate) warning: bool,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    /// `spec.containers{app}`, empty for the pod itself.
    pub(crate) field: String,
}

/// What a step comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Step {
    /// The new status, if it is another one.
    pub(crate) status: Option<Value>,
    pub(crate) happenings: Vec<Happening>,
    /// When to look again if nothing else changes.
    pub(crate) wake: Option<Duration>,
    /// Whether nothing is left of a pod that is being deleted.
    pub(crate) gone: bool,
}

/// The next step of a pod that is assigned to this node.
pub(crate) fn advance(pod: &Value, host: &Host<'_>) -> Step {
    let deleting = pod.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null());
    let phase = text(pod, "/status/phase");
    if matches!(phase, "Succeeded" | "Failed") {
        return Step { gone: deleting, ..Step::default() };
    }
    let mut life = Life { pod, host, happenings: Vec::new(), wake: None, boxes: containers::read(pod) };
    let started = !text(pod, "/status/startTime").is_empty();
    let mut phase = "Pending";
    let mut sandbox = started;
    match (deleting, started) {
        (true, false) => return Step { gone: true, ..Step::default() },
        (true, true) => return life.stop(),
        (false, false) => {}
        (false, true) => {
            // The sandbox is there: what the pod shows is the step after ContainerCreating.
            sandbox = true;
            phase = life.run();
        }
    }
    let failure = life.deadline();
    if failure.is_some() {
        phase = "Failed";
    }
    life.finish(phase, sandbox, failure)
}

pub(super) struct Life<'a> {
    pod: &'a Value,
    host: &'a Host<'a>,
    happenings: Vec<Happening>,
    /// Unix seconds.
    wake: Option<i64>,
    boxes: Vec<Box_<'a>>,
}

impl Life<'_> {
    fn tell(&mut self, index: usize, warning: bool, reason: &'static str, message: String) {
        let field = self.boxes.get(index).map(Box_::field).unwrap_or_default();
        self.happenings.push(Happening { warning, reason, message, field });
    }

    fn wake_at(&mut self, at: i64) {
        self.wake = Some(self.wake.map_or(at, |known| known.min(at)));
    }

    /// Starts and ends what is due; gives the pod's phase.
    fn run(&mut self) -> &'static str {
        let policy = match text(self.pod, "/spec/restartPolicy") {
            "" => "Always",
            policy => policy,
        };
        for index in 0..self.boxes.len() {
            if matches!(self.boxes[index].role, Role::Main | Role::Ephemeral) {
                break;
            }
            let restarts = if policy == "Never" { "Never" } else { "OnFailure" };
            let restarts = if self.boxes[index].role == Role::Sidecar { "Always" } else { restarts };
            self.attend(index, restarts);
            let one = &self.boxes[index];
            let done = match (one.role, &one.state) {
                (Role::Sidecar, State::Running { .. }) => one.started_at().is_some_and(|at| at <= self.host.now),
                (_, State::Terminated { code: 0, .. }) => true,
                (_, State::Terminated { .. }) if policy == "Never" => return "Failed",
                _ => false,
            };
            if !done {
                if let Some(at) = one.started_at().filter(|at| one.role == Role::Sidecar && *at > self.host.now) {
                    self.wake_at(at);
                }
                return "Pending";
            }
        }
        for index in 0..self.boxes.len() {
            match self.boxes[index].role {
                Role::Main => self.attend(index, policy),
                Role::Ephemeral => self.attend(index, "Never"),
                Role::Init | Role::Sidecar => {}
            }
        }
        let mut mains = self.boxes.iter().filter(|one| one.role == Role::Main).peekable();
        let is_over = |one: &Box_<'_>| match one.state {
            State::Terminated { code, .. } => policy == "Never" || (policy == "OnFailure" && code == 0),
            _ => false,
        };
        if mains.peek().is_none() || !mains.clone().all(is_over) {
            return "Running";
        }
        let failed = mains.any(|one| !matches!(one.state, State::Terminated { code: 0, .. }));
        let now = self.host.now;
        for one in self.boxes.iter_mut().filter(|one| matches!(one.role, Role::Sidecar | Role::Ephemeral)) {
            one.terminate(now, 0);
        }
        if failed { "Failed" } else { "Succeeded" }
    }

    /// Starts a container that waits, ends one whose program has ended, starts one again that may be.
    fn attend(&mut self, index: usize, policy: &str) {
        let now = self.host.now;
        if let State::Waiting { until } = self.boxes[index].state {
            match until.filter(|until| *until > now) {
                Some(until) => return self.wake_at(until),
                None => self.start(index, now),
            }
        }
        let one = &mut self.boxes[index];
        if let Some((end, code)) = one.end(self.pod) {
            if end > now {
                return self.wake_at(end);
            }
            one.terminate(end, code);
        }
        let one = &mut self.boxes[index];
        let State::Terminated { at, code, .. } = one.state else {
            for at in [one.started_at(), one.ready_at()].into_iter().flatten().filter(|at| *at > now) {
                self.wake = Some(self.wake.map_or(at, |known| known.min(at)));
            }
            return;
        };
        if policy == "Never" || (policy == "OnFailure" && code == 0) {
            return;
        }
        let delay = one.back_off();
        one.restarts += 1;
        one.last = Some(one.state.clone());
        if delay == 0 {
            self.start(index, at.max(now));
            return self.wake_at(now + 1);
        }
        one.state = State::Waiting { until: Some(at + delay) };
        let (name, place) = (
            one.name(),
            format!(
                "{}_{}({})",
                text(self.pod, "/metadata/name"),
                text(self.pod, "/metadata/namespace"),
                text(self.pod, "/metadata/uid")
            ),
        );
        let message = format!("Back-off restarting failed container {name} in pod {place}");
        self.tell(index, true, "BackOff", message);
        if at + delay <= now {
            self.start(index, now);
        } else {
            self.wake_at(at + delay);
        }
    }

    fn start(&mut self, index: usize, now: i64) {
        let one = &mut self.boxes[index];
        one.state = State::Running { since: now };
        let image = text(one.spec, "/image").to_owned();
        let present = format!("Container image {image:?} already present on machine and can be accessed by the pod");
        self.tell(index, false, "Pulled", present);
        self.tell(index, false, "Created", "Container created".to_owned());
        self.tell(index, false, "Started", "Container started".to_owned());
        if let Some(at) = self.boxes[index].started_at().filter(|at| *at > now) {
            self.wake_at(at);
        }
        if let Some(at) = self.boxes[index].ready_at().filter(|at| *at > now) {
            self.wake_at(at);
        }
        if let Some((end, _)) = self.boxes[index].end(self.pod).filter(|(end, _)| *end > now) {
            self.wake_at(end);
        }
    }

    /// The pod is being deleted: its containers end when their preStop hooks have, at the latest after the grace period.
    fn stop(mut self) -> Step {
        let grace = self.pod.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(0);
        let deadline = time::parse(text(self.pod, "/metadata/deletionTimestamp")).map_or(0, time::seconds);
        let running = |one: &&Box_<'_>| matches!(one.state, State::Running { .. });
        let linger = self.boxes.iter().filter(running).map(Box_::pre_stop).max().unwrap_or(0).clamp(0, grace.max(0));
        let end = deadline - grace + linger;
        if end > self.host.now {
            self.wake_at(end);
            let wake = self.wake.map(|at| until(at, self.host.now));
            return Step { wake, ..Step::default() };
        }
        for index in 0..self.boxes.len() {
            if matches!(self.boxes[index].state, State::Running { .. }) {
                let name = self.boxes[index].name().to_owned();
                self.boxes[index].terminate(self.host.now, 0);
                self.tell(index, false, "Killing", format!("Stopping container {name}"));
            }
        }
        let mut step = self.finish("Succeeded", true, None);
        step.gone = true;
        step
    }

    /// `activeDeadlineSeconds` is over.
    fn deadline(&mut self) -> Option<(&'static str, &'static str)> {
        let limit = self.pod.pointer("/spec/activeDeadlineSeconds").and_then(Value::as_i64)?;
        let end = time::seconds(time::parse(text(self.pod, "/status/startTime"))?).saturating_add(limit);
        if end > self.host.now {
            self.wake_at(end);
            return None;
        }
        let now = self.host.now;
        self.boxes.iter_mut().for_each(|one| one.terminate(now, 143));
        self.tell(
            usize::MAX,
            false,
            "DeadlineExceeded",
            "Pod was active on the node longer than the specified deadline".to_owned(),
        );
        Some(("DeadlineExceeded", "Pod was active on the node longer than the specified deadline"))
    }

    fn finish(self, phase: &str, sandbox: bool, failure: Option<(&str, &str)>) -> Step {
        let mut status = report::status(&self, phase, sandbox);
        if let Some((reason, message)) = failure {
            status["reason"] = reason.into();
            status["message"] = message.into();
        }
        let changed = self.pod.get("status") != Some(&status);
        Step {
            status: changed.then_some(status),
            happenings: self.happenings,
            wake: self.wake.map(|at| until(at, self.host.now)),
            gone: false,
        }
    }
}

fn until(at: i64, now: i64) -> Duration {
    Duration::from_secs(u64::try_from(at.saturating_sub(now)).unwrap_or(0))
}

/// When a container was last started, in Unix seconds; none if it is not running and never was.
pub(crate) fn started_at(status: Option<&Value>) -> Option<i64> {
    let status = status?;
    ["/state/running/startedAt", "/state/terminated/startedAt", "/lastState/terminated/startedAt"]
        .iter()
        .find_map(|pointer| time::parse(text(status, pointer)).map(time::seconds))
}

/// From when to when a container's program ran, in Unix seconds: the present one or, if that was asked for or none has been
/// started since, the one before.
pub(crate) fn span(status: Option<&Value>, previous: bool, now: i64) -> Option<(i64, i64)> {
    let status = status?;
    let seconds = |pointer: &str| time::parse(text(status, pointer)).map(time::seconds);
    let last = || seconds("/lastState/terminated/startedAt").zip(seconds("/lastState/terminated/finishedAt"));
    if previous {
        return last();
    }
    let running = seconds("/state/running/startedAt").map(|since| (since, now));
    running
        .or_else(|| seconds("/state/terminated/startedAt").zip(seconds("/state/terminated/finishedAt")))
        .or_else(last)
}

/// Whether the container is running now.
pub(crate) fn is_running(status: Option<&Value>) -> bool {
    status.is_some_and(|status| status.pointer("/state/running").is_some())
}

/// Whether the pod's containers are meant to end by themselves: it belongs to a Job.
pub(crate) fn is_task(pod: &Value) -> bool {
    items(pod, "/metadata/ownerReferences").iter().any(|owner| owner["controller"] == true && owner["kind"] == "Job")
}

/// A pod's status when its node has nothing to say of it any more.
pub(crate) fn lost(pod: &Value, now: &str) -> Option<Value> {
    let mut status = pod.get("status")?.clone();
    let ready = status["conditions"].as_array_mut()?.iter_mut().find(|condition| condition["type"] == "Ready")?;
    if ready["status"] != "True" {
        return None;
    }
    ready["status"] = "False".into();
    ready["lastTransitionTime"] = json!(now);
    Some(status)
}
