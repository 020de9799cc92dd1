//! Logs of a pod's containers.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::value::Value;

use super::call::{Call, Content, Reply};
use super::connect::{container_of, is_simulated};
use super::read;
use crate::admission::Rejection;
use crate::core::Shared;
use crate::node::log::{Asked, Line, render, show};
use crate::node::{self, life};
use crate::store::Object;
use crate::time;

/// How often a followed log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A container's log, as far as it was asked for.
pub(crate) struct Log {
    core: Shared,
    pod: Arc<Object>,
    container: String,
    asked: Asked,
    follow: bool,
    previous: bool,
    /// What was already given out: so many lines; none before the first look.
    sent: Option<usize>,
    /// When the container was started whose log this is (Unix seconds): one that is started after it has a log of its own.
    started: Option<i64>,
}

/// GET of `pods/log`.
pub(super) fn log(core: &Shared, call: &Call) -> Result<Reply, Rejection> {
    read::get(core, call)?;
    let pod = core.store.get(&call.resource.table, &call.namespace, &call.name).ok_or_else(|| call.not_found())?;
    let node = pod.value().pointer("/spec/nodeName").and_then(Value::as_str).unwrap_or_default();
    if core.nodes == 0 || node.is_empty() {
        // Nothing ran yet (`operations/log-not-admitted`).
        return Ok(Reply { code: 204, content: Content::Empty });
    }
    if !is_simulated(core, node) {
        let message = format!("error dialing backend: no kubelet serves node {node:?} of this cluster");
        return Err(Rejection::internal(&message));
    }
    let container = container_of(&pod, call.query.get("container"))?;
    let number = |name: &str| call.query.int(name).map_err(|text| Rejection::bad_request(&text));
    let size = |number: Option<i64>| number.and_then(|number| usize::try_from(number).ok());
    let now = time::seconds(core.clock.now());
    let since_time = time::parse(call.query.get("sinceTime")).map(time::seconds);
    let asked = Asked {
        timestamps: call.query.flag("timestamps"),
        tail: size(number("tailLines")?),
        since: number("sinceSeconds")?.map(|seconds| now.saturating_sub(seconds)).or(since_time),
        limit: size(number("limitBytes")?),
    };
    let log = Log {
        core: core.clone(),
        container,
        asked,
        follow: call.query.flag("follow"),
        previous: call.query.flag("previous"),
        sent: None,
        started: None,
        pod,
    };
    log.check()?;
    Ok(Reply::ok(Content::Log(Box::new(log))))
}

impl Log {
    fn check(&self) -> Result<(), Rejection> {
        let name = self.pod.name();
        let status = node::container(self.pod.value(), &self.container).and_then(|(_, status)| status);
        let container = &self.container;
        if self.previous {
            let known = status.and_then(|status| status.pointer("/lastState/terminated"));
            let message = format!("previous terminated container {container:?} in pod {name:?} not found");
            return known.map(drop).ok_or_else(|| Rejection::bad_request(&message));
        }
        if life::started_at(status).is_some() {
            return Ok(());
        }
        let reason = status.and_then(|status| status.pointer("/state/waiting/reason")).and_then(Value::as_str);
        let reason = reason.unwrap_or("ContainerCreating");
        Err(Rejection::bad_request(&format!("container {container:?} in pod {name:?} is waiting to start: {reason}")))
    }

    /// All lines up to now, and whether more may come.
    fn lines(&mut self) -> (Vec<Line>, bool) {
        let pod = self.core.store.get("pods", self.pod.namespace(), self.pod.name());
        let present = pod.as_ref().filter(|pod| pod.meta("uid") == self.pod.meta("uid"));
        let pod = present.unwrap_or(&self.pod).value();
        let now = time::seconds(self.core.clock.now());
        let Some((spec, status)) = node::container(pod, &self.container) else { return (Vec::new(), false) };
        let running = present.is_some() && life::is_running(status);
        if let Some(workload) = self.core.workloads.of(pod) {
            let lines = workload.log(&self.container);
            return (lines.into_iter().map(|(at, text)| Line { at, text }).collect(), running);
        }
        let mut running = running;
        let mut span = life::span(status, self.previous, now);
        if let (Some(started), Some((since, _))) = (self.started, span)
            && started != since
        {
            span = life::span(status, true, now).filter(|(since, _)| *since == started);
            running = false;
        }
        let Some((since, until)) = span else { return (Vec::new(), running) };
        self.started = Some(since);
        (node::log::lines(pod, spec, life::is_task(pod), since, until), running)
    }

    /// The next piece of the log: at once what is there; then, if it is followed, what comes. None at its end.
    pub(crate) async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let (lines, more) = self.lines();
            let total = lines.len();
            let piece = match self.sent.replace(total) {
                None => render(&lines, &self.asked),
                Some(sent) if sent < total => {
                    lines[sent..].iter().flat_map(|line| show(line, self.asked.timestamps)).collect()
                }
                Some(_) if !self.follow || !more => return None,
                Some(_) => Vec::new(),
            };
            if !piece.is_empty() {
                return Some(piece);
            }
            if !self.follow {
                return None;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Passes over what was printed up to now.
    pub(crate) fn skip(&mut self) {
        self.sent = Some(self.lines().0.len());
        self.follow = true;
    }

    /// The log of a container that is attached to.
    pub(crate) fn of(core: &Shared, pod: &Arc<Object>, container: &str) -> Log {
        Log {
            core: core.clone(),
            pod: pod.clone(),
            container: container.to_owned(),
            asked: Asked::default(),
            follow: true,
            previous: false,
            sent: None,
            started: None,
        }
    }
}
