//! The `wait:` steps: what the session waited for.

use apimachinery::value::Value;

use crate::client::{Client, NAMESPACES};

/// Whether what a `wait:` step waits for is so now.
pub(crate) async fn holds(client: &Client, id: &str, namespace: &str, step: &Value) -> bool {
    let what = step["name"].as_str().unwrap_or_default().trim_start_matches("wait: ");
    let apps = format!("/apis/apps/v1/namespaces/{namespace}");
    let number = what.split(' ').next().and_then(|number| number.parse::<usize>().ok());
    let pods = client.pods(namespace).await;
    match what {
        "pods created after the webhook allows" => pods.len() >= reviews(step),
        "1 pod" if id == "controllers/deployment-lifecycle" => {
            pods.iter().filter(|pod| pod["metadata"].get("deletionTimestamp").is_none()).count() == 1
        }
        "a pod" => !pods.is_empty(),
        "events" => failures(client, namespace).await >= if id.contains("daemonset") { 2 } else { 1 },
        "two pods" => pods.len() == 2,
        "three pods" => pods.len() == 3,
        "available" => deployment(client, &apps).await["availableReplicas"] == 2,
        "second RS with pods" => client.items(&format!("{apps}/replicasets")).await.len() == 2 && pods.len() >= 3,
        "rolled out" => {
            client.set_ready(namespace, None).await;
            let status = deployment(client, &apps).await;
            ["updatedReplicas", "availableReplicas", "replicas"].iter().all(|field| status[*field] == 2)
        }
        "gone" if id.contains("namespace") => client.get(&format!("{NAMESPACES}/{namespace}")).await.status == 404,
        "gone" => client.items(&format!("{apps}/replicasets")).await.is_empty() && pods.is_empty(),
        what if what.ends_with("FailedCreate events") => failures(client, namespace).await >= number.unwrap_or(1),
        what if what.ends_with(" pod") || what.ends_with(" pods") => pods.len() >= number.unwrap_or(1),
        _ => true,
    }
}

/// How long the session was ready to wait, in seconds.
pub(crate) fn limit(id: &str, step: &str) -> f64 {
    match step {
        step if step.contains("webhook allows") => 120.0,
        _ if id == "controllers/cronjob" => 80.0,
        "wait: gone" => 90.0,
        _ => 30.0,
    }
}

/// How many different reviews a step shows.
fn reviews(step: &Value) -> usize {
    let calls = step["webhookCalls"].as_array().into_iter().flatten();
    let uids: std::collections::BTreeSet<&str> =
        calls.filter_map(|call| call["body"]["request"]["uid"].as_str()).collect();
    uids.len()
}

async fn failures(client: &Client, namespace: &str) -> usize {
    let events = client.items(&format!("{NAMESPACES}/{namespace}/events")).await;
    let failed = events.iter().filter(|event| event["reason"] == "FailedCreate");
    failed.map(|event| event["count"].as_u64().map_or(1, |count| usize::try_from(count).unwrap_or(1))).sum()
}

async fn deployment(client: &Client, apps: &str) -> Value {
    client.get(&format!("{apps}/deployments/web")).await.body["status"].clone()
}
