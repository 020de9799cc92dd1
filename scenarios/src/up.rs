//! A cluster to work with: an apiserver, controllers, simulated nodes and, if wanted, the sidecar injector, all in this process.
//!
//! ```text
//! state (a file) ──► cluster ◄── load (manifests)
//!        ▲              │  └──► injector: its ConfigMap, Deployment, Service and webhook configuration are in the cluster
//!        └── save ──────┘
//! ```

mod install;
mod manifests;
mod state;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use fake_apiserver::{FakeApiserver, KubernetesVersion};
use injector::config::Settings;

pub use manifests::{Applied, apply};
pub use state::{read_objects, save};

use install::Sidecars;

/// What the cluster is to be.
#[derive(Debug, Default)]
pub struct Options {
    /// Where the apiserver listens; a free port of the loopback interface if `None`.
    pub listen: Option<SocketAddr>,
    /// Simulated nodes.
    pub nodes: u32,
    /// Seed of uids and generated names.
    pub seed: u64,
    /// The version of Kubernetes that is imitated, as far as a webhook sees it.
    pub kubernetes_version: KubernetesVersion,
    /// The injector's configuration; no injector if `None`.
    pub injector: Option<Settings>,
    /// Objects to begin with, as they are (see [`fake_apiserver::Builder::restore`]).
    pub from: Vec<apimachinery::value::Value>,
}

/// A running cluster. Dropping it stops it.
pub struct Up {
    /// The apiserver.
    pub cluster: FakeApiserver,
    sidecars: Option<Sidecars>,
}

/// Starts a cluster.
///
/// # Errors
/// The address is taken, an object is no object, or the injector's configuration does not load.
pub async fn start(options: Options) -> anyhow::Result<Up> {
    let mut builder = FakeApiserver::builder()
        .seed(options.seed)
        .nodes(options.nodes)
        .kubernetes_version(options.kubernetes_version)
        .restore(options.from);
    if let Some(address) = options.listen {
        builder = builder.listen(address);
    }
    let sidecars = match options.injector {
        Some(settings) => Some(Sidecars::new(settings).await?),
        None => None,
    };
    if let Some(sidecars) = &sidecars {
        builder = sidecars.attach(builder);
    }
    let cluster = builder.start().await.context("cannot start the cluster")?;
    if let Some(sidecars) = &sidecars {
        sidecars.install(&cluster).await?;
    }
    Ok(Up { cluster, sidecars })
}

impl Up {
    /// Follows the injector's ConfigMaps; never ends. A configuration that does not load leaves the last good one in use and
    /// is told in the injector's log.
    pub async fn follow(&self) {
        match &self.sidecars {
            Some(sidecars) => sidecars.follow(&self.cluster).await,
            None => std::future::pending().await,
        }
    }
}

/// Writes a file that only its owner may read, whole or not at all.
///
/// # Errors
/// The directory cannot be written to; the file that was there stays as it was.
pub fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let written = (|| {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// Shared by the pieces of the injector.
type Log = Arc<std::sync::Mutex<std::collections::VecDeque<(i64, String)>>>;
