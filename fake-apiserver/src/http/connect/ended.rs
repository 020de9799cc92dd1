//! A container's own program that ended because of what was typed: the node says so in the pod's status.

use apimachinery::value::{Value, json};

use crate::http::handler::local_user;
use crate::registry::connect::Connect;
use crate::registry::internal::patch_status;

/// Reports the exit code of the container that a client was attached to. If the pod has changed or gone meanwhile, nobody is
/// there to be told.
pub(super) async fn report(connect: &Connect, code: u8) {
    let (core, pod) = (&connect.core, &connect.pod);
    let Some(current) = core.store.get("pods", pod.namespace(), pod.name()) else { return };
    if current.meta("uid") != pod.meta("uid") {
        return;
    }
    let Some(patch) = terminated(current.value(), &connect.container, code, &core.clock.now().rfc3339()) else {
        return;
    };
    let node = current.value()["spec"]["nodeName"].as_str().unwrap_or_default();
    let user = local_user(&format!("system:node:{node}"), &["system:nodes", "system:authenticated"]);
    let Some(resource) = core.registry.find("", "v1", "pods") else { return };
    // Boxed, so that sessions stay small.
    Box::pin(patch_status(core, user, &resource, (pod.namespace(), pod.name()), &patch)).await;
}

/// The JSON Patch that says so, if the container is running.
fn terminated(pod: &Value, container: &str, code: u8, now: &str) -> Option<Value> {
    ["containerStatuses", "ephemeralContainerStatuses"].into_iter().find_map(|list| {
        let statuses = pod["status"][list].as_array()?;
        let index = statuses.iter().position(|status| status["name"] == container)?;
        let status = &statuses[index];
        let started = status.pointer("/state/running/startedAt")?;
        let reason = if code == 0 { "Completed" } else { "Error" };
        let state = json!({ "terminated": {
            "exitCode": code, "reason": reason, "startedAt": started, "finishedAt": now,
            "containerID": status["containerID"],
        } });
        let path = format!("/status/{list}/{index}");
        Some(json!([
            { "op": "test", "path": format!("{path}/name"), "value": container },
            { "op": "replace", "path": format!("{path}/state"), "value": state },
        ]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_runs_can_end() {
        let pod = |state: Value| {
            json!({ "status": { "containerStatuses": [
            { "name": "other" }, { "name": "sh", "containerID": "c://1", "state": state },
        ] } })
        };
        let running = pod(json!({ "running": { "startedAt": "2026-01-01T00:00:00Z" } }));
        let patch = terminated(&running, "sh", 2, "2026-01-01T00:00:09Z").unwrap();
        assert_eq!(patch[1]["path"], "/status/containerStatuses/1/state");
        assert_eq!(patch[1]["value"]["terminated"]["exitCode"], 2);
        assert_eq!(patch[1]["value"]["terminated"]["reason"], "Error");
        assert_eq!(terminated(&running, "absent", 0, ""), None);
        assert_eq!(terminated(&pod(json!({ "waiting": {} })), "sh", 0, ""), None);
    }
}
