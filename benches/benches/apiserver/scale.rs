//! Many pods through the controllers and one webhook: Deployments of a hundred pods are created, rolled and deleted, while
//! somebody else's pods are created beside them, to see how long a watch takes to tell of one.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::value::{List, Value, json};
use bytes::Bytes;
use fake_apiserver::FakeApiserver;
use http::Method;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::Outcome;
use crate::client::Client;
use crate::memory::{processor, resident};
use crate::table::{Table, ms, quantile, thousands};
use crate::world::{Wire, cluster_of, pod};

/// Pods of a Deployment.
const REPLICAS: usize = 100;
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/bench/deployments";
/// Where the pods of the prober go.
const BESIDE: &str = "/api/v1/namespaces/default/pods";

/// Pods, and simulated nodes for them to run on (none: the pods stay pending, and a Deployment is Recreate).
pub(crate) fn table(pods: usize, nodes: u32) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(pods, nodes))
}

async fn measure(pods: usize, nodes: u32) -> Outcome {
    let cluster = cluster_of(Wire::Memory, 1, true, nodes).await?;
    let heading = format!("{} pods of {} Deployments on {nodes} nodes", thousands(pods as u64), pods / REPLICAS);
    let columns = [
        "step",
        "time",
        "pods / s",
        "us per pod",
        "CPU us per pod",
        "process",
        "bytes per pod",
        "watch p50",
        "watch p99",
        "probes",
    ];
    let table = Table::new(&heading, &columns);
    let empty = resident()?;
    for step in [Step::Create, Step::Roll, Step::Delete] {
        let prober = Prober::start(&cluster).await?;
        let (started, busy) = (Instant::now(), processor()?);
        for number in 0..pods / REPLICAS {
            step.begin(&cluster, number, nodes > 0).await?;
        }
        loop {
            let looking = Instant::now();
            if step.is_done(&cluster, pods, nodes > 0).await? {
                break;
            }
            // To look at a thousand Deployments costs something, too: not more than a fiftieth of the time.
            tokio::time::sleep((looking.elapsed() * 50).max(Duration::from_millis(100))).await;
        }
        let (took, busy) = (started.elapsed(), processor()?.saturating_sub(busy));
        let mut latencies = prober.stop().await?;
        let now = resident()?;
        table.row(&[
            step.name().to_owned(),
            format!("{:.1} s", took.as_secs_f64()),
            thousands((pods as f64 / took.as_secs_f64()) as u64),
            thousands((took.as_secs_f64() * 1e6 / pods as f64) as u64),
            thousands((busy.as_secs_f64() * 1e6 / pods as f64) as u64),
            format!("{} MB", now >> 20),
            thousands(now.saturating_sub(empty) / pods as u64),
            ms(quantile(&mut latencies, 0.5)),
            ms(quantile(&mut latencies, 0.99)),
            latencies.len().to_string(),
        ]);
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Step {
    Create,
    Roll,
    Delete,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Step::Create => "create",
            Step::Roll => "roll",
            Step::Delete => "delete",
        }
    }

    async fn begin(self, cluster: &FakeApiserver, number: usize, runs: bool) -> Outcome {
        let path = format!("{DEPLOYMENTS}/web-{number}");
        let answer = match self {
            Step::Create => cluster.request(Method::POST, DEPLOYMENTS, Some(&deployment(number, runs))).await,
            Step::Roll => {
                let patch = json!({"spec": {"template": {"metadata": {"annotations": {"rolled": "once"}}}}});
                cluster.request(Method::PATCH, &path, Some(&patch)).await
            }
            Step::Delete => cluster.request(Method::DELETE, &path, None).await,
        };
        if answer.status < 300 { Ok(()) } else { Err(format!("HTTP {}: {}", answer.status, answer.json()).into()) }
    }

    async fn is_done(self, cluster: &FakeApiserver, pods: usize, runs: bool) -> Result<bool, Box<dyn Error>> {
        if let Step::Delete = self {
            let left = cluster.request(Method::GET, "/api/v1/namespaces/bench/pods?limit=1", None).await.json();
            return Ok(left["items"].as_array().is_some_and(List::is_empty));
        }
        let all = cluster.request(Method::GET, DEPLOYMENTS, None).await.json();
        let sum = |field: &str| -> u64 {
            let all = all["items"].as_array().into_iter().flatten();
            all.filter(|one| one["status"]["observedGeneration"] == one["metadata"]["generation"])
                .filter_map(|one| one["status"][field].as_u64())
                .sum()
        };
        let there = ["updatedReplicas", "replicas", "readyReplicas"].map(sum);
        let wanted = pods as u64;
        Ok(there[..2] == [wanted, wanted] && (!runs || there[2] == wanted))
    }
}

fn deployment(number: usize, runs: bool) -> Value {
    let mut template = benches::large::ordinary();
    let name = format!("web-{number}");
    template["metadata"] = json!({"labels": {"app": "web", "of": name}, "annotations": {"rolled": "never"}});
    let strategy = if runs { "RollingUpdate" } else { "Recreate" };
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": REPLICAS, "selector": {"matchLabels": {"of": name}}, "strategy": {"type": strategy},
            "template": {"metadata": template["metadata"], "spec": template["spec"]},
        },
    })
}

/// Creates a pod every fifty milliseconds and notes how long after the answer a watch has it.
struct Prober {
    task: tokio::task::JoinHandle<Result<Vec<Duration>, String>>,
    stop: tokio::sync::watch::Sender<bool>,
}

impl Prober {
    async fn start(cluster: &Arc<FakeApiserver>) -> Result<Prober, Box<dyn Error>> {
        let mut watch = Client::tls(cluster).await?.get(&format!("{BESIDE}?watch=true")).await?;
        let mut client = Client::InProcess(Arc::clone(cluster));
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let task = tokio::spawn(async move {
            let mut times = Vec::new();
            let mut unread = Bytes::new();
            while !*stopped.borrow() {
                let begun = Instant::now();
                let (status, body) = client.post(BESIDE, pod()).await.map_err(|error| error.to_string())?;
                let answered = Instant::now();
                let object: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
                if status != 201 {
                    return Err(format!("HTTP {status}: {object}"));
                }
                let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                // A watch that falls behind the history of events is ended: the times until then count.
                if seen(&mut watch, &mut unread, &name).await.is_err() {
                    break;
                }
                times.push(answered.elapsed());
                tokio::time::sleep_until(begun + Duration::from_millis(50)).await;
            }
            Ok(times)
        });
        Ok(Prober { task, stop })
    }

    async fn stop(self) -> Result<Vec<Duration>, Box<dyn Error>> {
        self.stop.send_replace(true);
        Ok(self.task.await??)
    }
}

/// Reads a watch until it tells of this object; what came with it is kept.
async fn seen(watch: &mut Incoming, unread: &mut Bytes, name: &str) -> Result<(), String> {
    loop {
        if let Some(at) = unread.windows(name.len()).position(|part| part == name.as_bytes()) {
            drop(unread.split_to(at + name.len()));
            return Ok(());
        }
        // A name may be cut in two.
        let kept = unread.split_off(unread.len().saturating_sub(name.len()));
        let frame = watch.frame().await.ok_or("the watch ended")?.map_err(|error| error.to_string())?;
        let more = frame.into_data().unwrap_or_default();
        *unread = [kept, more].concat().into();
    }
}
