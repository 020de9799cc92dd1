//! Time to ready, creates per second, latency of sequential creates.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::client::Client;
use crate::table::{Table, ms, quantile, rate};
use crate::world::{PODS, Wire, cluster, pod};
use crate::{Outcome, hook};

/// What the real one was recorded at on two cores (with its etcd, and with one webhook over HTTP/2): seconds to ready,
/// and creates per second without and with a webhook, by one client and by eight.
const REAL_READY: Duration = Duration::from_millis(3700);
const REAL: [[f64; 2]; 2] = [[186.8, 133.8], [533.8, 349.3]];

const STARTS: usize = 21;

/// Creates that go before the measured ones.
const WARM: usize = 200;

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// From nothing to the first answer.
pub(crate) fn ready() -> Outcome {
    let table = Table::new("Time to ready", &["controllers", "median", "slowest of 21", "real / this"]);
    for controllers in [false, true] {
        let mut times = Vec::new();
        for _ in 0..STARTS {
            runtime()?.block_on(async {
                let started = Instant::now();
                let cluster = fake_apiserver::FakeApiserver::builder().controllers(controllers).start().await?;
                let answer = cluster.request(http::Method::GET, "/readyz", None).await;
                times.push(started.elapsed());
                if answer.status == 200 { Ok(()) } else { Err(Box::<dyn Error>::from("not ready")) }
            })?;
        }
        let (median, slowest) = (quantile(&mut times, 0.5), quantile(&mut times, 1.0));
        let ratio = REAL_READY.as_secs_f64() / median.as_secs_f64();
        let word = if controllers { "on" } else { "off" };
        table.row(&[word.to_owned(), ms(median), ms(slowest), format!("{ratio:.0}")]);
    }
    Ok(())
}

/// Creates of ordinary pods.
pub(crate) fn creates() -> Outcome {
    let columns = ["wire", "webhooks", "clients", "creates / s", "p50", "p99", "this / real"];
    let table = Table::new("Creates of pods", &columns);
    for wire in [Wire::Memory, Wire::Tcp] {
        for hooks in [0, 1, 5] {
            for clients in [1, 8] {
                let (count, took, mut times) = runtime()?.block_on(measure(wire, hooks, clients))?;
                let (per_second, shown) = rate(count, took);
                let real = REAL[usize::from(clients > 1)].get(hooks).copied();
                table.row(&[
                    wire.name().to_owned(),
                    hooks.to_string(),
                    clients.to_string(),
                    shown,
                    ms(quantile(&mut times, 0.5)),
                    ms(quantile(&mut times, 0.99)),
                    real.map_or_else(|| "not recorded".to_owned(), |real| format!("{:.0}", per_second / real)),
                ]);
            }
        }
    }
    Ok(())
}

type Measured = (usize, Duration, Vec<Duration>);

async fn measure(wire: Wire, hooks: usize, clients: usize) -> Result<Measured, Box<dyn Error>> {
    let cluster = cluster(wire, hooks).await?;
    let mut all = Vec::new();
    for _ in 0..clients {
        all.push(match wire {
            Wire::Memory => Client::InProcess(Arc::clone(&cluster)),
            Wire::Tcp => Client::tls(&cluster).await?,
        });
    }
    let body = pod();
    for _ in 0..WARM {
        create(&mut all[0], &body, hooks).await?;
    }
    let each = if hooks == 5 { 4000 } else { 8000 } / clients;
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for mut client in all {
        let body = body.clone();
        tasks.spawn(async move {
            let mut times = Vec::with_capacity(each);
            for _ in 0..each {
                let begun = Instant::now();
                let (status, _) = client.post(PODS, body.clone()).await?;
                times.push(begun.elapsed());
                if status != 201 {
                    return Err(format!("HTTP {status}").into());
                }
            }
            Ok::<_, Box<dyn Error + Send + Sync>>(times)
        });
    }
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.extend(done?.map_err(|error| error.to_string())?);
    }
    Ok((each * clients, started.elapsed(), times))
}

/// One create, looked at.
pub(crate) async fn create(client: &mut Client, body: &Bytes, hooks: usize) -> Outcome {
    let (status, answer) = client.post(PODS, body.clone()).await.map_err(|error| error.to_string())?;
    if status != 201 {
        return Err(format!("HTTP {status}: {}", String::from_utf8_lossy(&answer)).into());
    }
    hook::check(&serde_json::from_slice(&answer)?, hooks)
}
