//! The containers of a pod, read from its spec and status.

use std::time::Duration;

use apimachinery::value::Value;

use super::super::program::{self, FOR_EVER};
use super::super::{items, text};
use super::is_task;
use crate::time;

/// What a container is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Runs to its end before the next one starts.
    Init,
    /// An init container that stays.
    Sidecar,
    Main,
    /// Added to a pod that runs (`kubectl debug`); whether it runs concerns nobody else.
    Ephemeral,
}

/// What it does now; times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not started yet, or not again before `until`.
    Waiting {
        until: Option<i64>,
    },
    Running {
        since: i64,
    },
    Terminated {
        since: i64,
        at: i64,
        code: i64,
    },
}

/// One container.
pub(super) struct Box_<'a> {
    pub(super) spec: &'a Value,
    pub(super) role: Role,
    pub(super) state: State,
    /// How it ended before it was last started.
    pub(super) last: Option<State>,
    pub(super) restarts: i64,
    is_task: bool,
}

/// Ran so long, it starts again without delay.
const RECOVERED: i64 = 600;

/// The containers in the order in which they are started.
pub(super) fn read(pod: &Value) -> Vec<Box_<'_>> {
    let task = is_task(pod);
    let one = |spec: &'_ Value, statuses: &str, role| -> (State, Option<State>, i64, bool) {
        let status = items(pod, statuses).iter().find(|status| status["name"] == spec["name"]);
        let restarts = status.and_then(|status| status["restartCount"].as_i64()).unwrap_or(0);
        let last = status.and_then(|status| ended(&status["lastState"]));
        let state = match status.map(|status| &status["state"]) {
            None => State::Waiting { until: None },
            Some(state) => {
                let since = seconds(text(state, "/running/startedAt"));
                match (since, ended(state)) {
                    (Some(since), _) => State::Running { since },
                    (None, Some(ended)) => ended,
                    (None, None) => State::Waiting { until: waits_until(state, last.as_ref(), restarts) },
                }
            }
        };
        (state, last, restarts, task || role == Role::Init)
    };
    let mut boxes = Vec::new();
    for spec in items(pod, "/spec/initContainers") {
        let role = if spec["restartPolicy"] == "Always" { Role::Sidecar } else { Role::Init };
        let (state, last, restarts, is_task) = one(spec, "/status/initContainerStatuses", role);
        boxes.push(Box_ { spec, role, state, last, restarts, is_task });
    }
    for spec in items(pod, "/spec/containers") {
        let (state, last, restarts, is_task) = one(spec, "/status/containerStatuses", Role::Main);
        boxes.push(Box_ { spec, role: Role::Main, state, last, restarts, is_task });
    }
    for spec in items(pod, "/spec/ephemeralContainers") {
        let (state, last, restarts, _) = one(spec, "/status/ephemeralContainerStatuses", Role::Ephemeral);
        boxes.push(Box_ { spec, role: Role::Ephemeral, state, last, restarts, is_task: false });
    }
    boxes
}

fn seconds(text: &str) -> Option<i64> {
    time::parse(text).map(time::seconds)
}

fn ended(state: &Value) -> Option<State> {
    let ended = state.get("terminated").filter(|ended| ended.is_object())?;
    let at = seconds(text(ended, "/finishedAt"))?;
    let since = seconds(text(ended, "/startedAt")).unwrap_or(at);
    Some(State::Terminated { since, at, code: ended["exitCode"].as_i64().unwrap_or(0) })
}

fn waits_until(state: &Value, last: Option<&State>, restarts: i64) -> Option<i64> {
    match last {
        Some(State::Terminated { at, .. }) if text(state, "/waiting/reason") == "CrashLoopBackOff" => {
            Some(at.saturating_add(delay(restarts.saturating_sub(1))))
        }
        _ => None,
    }
}

/// How long a container waits that has been started again so often: not at all the first time, then 10 s, 20 s, … 300 s.
fn delay(restarts: i64) -> i64 {
    match restarts {
        ..=0 => 0,
        1..=5 => 10 << (restarts - 1),
        _ => 300,
    }
}

impl Box_<'_> {
    pub(super) fn name(&self) -> &str {
        text(self.spec, "/name")
    }

    /// As events name it.
    pub(super) fn field(&self) -> String {
        let list = match self.role {
            Role::Main => "containers",
            Role::Ephemeral => "ephemeralContainers",
            Role::Init | Role::Sidecar => "initContainers",
        };
        format!("spec.{list}{{{}}}", self.name())
    }

    /// When the running program ends, and with which code.
    pub(super) fn end(&self, pod: &Value) -> Option<(i64, i64)> {
        let State::Running { since } = self.state else { return None };
        let (after, code) = program::run(pod, self.spec, self.is_task, since, FOR_EVER).end?;
        let after = i64::try_from(after.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
        Some((since.saturating_add(after), i64::from(code)))
    }

    /// It has ended, unless it already had.
    pub(super) fn terminate(&mut self, at: i64, code: i64) {
        if let State::Running { since } = self.state {
            self.state = State::Terminated { since, at: at.max(since), code };
        }
    }

    /// Seconds until it may be started again.
    pub(super) fn back_off(&self) -> i64 {
        match self.state {
            State::Terminated { since, at, .. } if at - since >= RECOVERED => 0,
            _ => delay(self.restarts),
        }
    }

    fn delay_of(&self, probe: &str) -> Option<i64> {
        let probe = self.spec.get(probe).filter(|probe| probe.is_object())?;
        Some(probe["initialDelaySeconds"].as_i64().unwrap_or(0).max(0))
    }

    /// When its startup probe succeeds.
    pub(super) fn started_at(&self) -> Option<i64> {
        let State::Running { since } = self.state else { return None };
        Some(since.saturating_add(self.delay_of("startupProbe").unwrap_or(0)))
    }

    /// When its readiness probe succeeds.
    pub(super) fn ready_at(&self) -> Option<i64> {
        let State::Running { since } = self.state else { return None };
        let started = self.started_at()?;
        Some(started.max(since.saturating_add(self.delay_of("readinessProbe").unwrap_or(0))))
    }

    /// Seconds that its preStop hook takes: those of `sleep`, or of a command that the simulated shell knows.
    pub(super) fn pre_stop(&self) -> i64 {
        if let Some(seconds) = self.spec.pointer("/lifecycle/preStop/sleep/seconds").and_then(Value::as_i64) {
            return seconds;
        }
        let command = items(self.spec, "/lifecycle/preStop/exec/command");
        if command.is_empty() {
            return 0;
        }
        let hook = apimachinery::value::json!({ "name": "preStop", "command": command });
        let end = program::run(&Value::Null, &hook, false, 0, Duration::from_secs(86_400)).end;
        end.map_or(0, |(after, _)| i64::try_from(after.as_secs()).unwrap_or(0))
    }
}
