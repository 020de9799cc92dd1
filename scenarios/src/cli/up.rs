//! `towtank up`.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use fake_apiserver::KubernetesVersion;
use injector::boxed::{Boxed, MODERN};
use injector::config::{Environment, Settings};
use tokio::signal::unix::{SignalKind, signal};

use super::output::Output;
use super::read;
use crate::up::{self, Options, Up};

/// How often the cluster is written to its file, if it has changed.
const SAVE_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address to listen on; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where the kubeconfig is written.
    #[arg(long, default_value = "towtank.kubeconfig", value_name = "FILE")]
    kubeconfig: PathBuf,
    /// The version of Kubernetes to imitate, as far as a webhook sees it: 1.9 to 1.36.
    #[arg(long, default_value_t, value_name = "VERSION")]
    kubernetes_version: KubernetesVersion,
    /// Simulated nodes.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=30_000))]
    nodes: u32,
    /// Run the sidecar injector in the cluster: its ConfigMap (or its `config` text), or one in the box: modern or 1.0.
    #[arg(long, value_name = "CONFIGMAP", num_args = 0..=1, default_missing_value = "modern")]
    injector: Option<PathBuf>,
    /// The injector's values, if they are not in the ConfigMap.
    #[arg(long, value_name = "FILE", requires = "injector")]
    values: Option<PathBuf>,
    /// The mesh configuration.
    #[arg(long, value_name = "FILE", requires = "injector")]
    mesh_config: Option<PathBuf>,
    /// Apply these manifests at the start: a file, or a directory of them.
    #[arg(long, value_name = "DIR")]
    load: Vec<PathBuf>,
    /// Begin with the objects of this file: one that --save wrote, or `kubectl get -o yaml` of a real cluster.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Keep the whole cluster in this file: written every 10 s and at the end. May be the file of --from.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Seed of uids and generated names.
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
}

impl Args {
    pub(super) fn run(&self, output: &Output) -> anyhow::Result<bool> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
        runtime.block_on(self.serve(output))
    }

    async fn serve(&self, output: &Output) -> anyhow::Result<bool> {
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let from = match &self.from {
            // The first time there is nothing to begin with.
            Some(path) if !path.exists() && self.save.as_ref() == Some(path) => Vec::new(),
            Some(path) => up::read_objects(path)?,
            None => Vec::new(),
        };
        let options = Options {
            listen: Some(self.listen),
            nodes: self.nodes,
            seed: self.seed,
            kubernetes_version: self.kubernetes_version,
            injector: self.settings()?,
            from,
        };
        let up = up::start(options).await?;
        up::write_private(&self.kubeconfig, up.cluster.kubeconfig().as_bytes()).with_context(|| {
            format!("cannot write the kubeconfig to {}: give --kubeconfig", self.kubeconfig.display())
        })?;
        let mut refused = 0;
        for path in &self.load {
            for applied in up::apply(&up.cluster, path).await? {
                match &applied.outcome {
                    Ok(what) => output.print(&format!("{} {what}", applied.object)),
                    Err(why) => {
                        refused += 1;
                        output.error(&anyhow::anyhow!("{}: {why}", applied.object));
                    }
                }
            }
        }
        output.print(&self.welcome(&up));
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
            () = up.follow() => {}
            () = self.keep(&up, output) => {}
        }
        if let Some(path) = &self.save {
            up::save(&up.cluster, path)?;
            output.print(&format!("saved to {}", path.display()));
        }
        Ok(refused == 0)
    }

    /// Writes the cluster to its file now and then; never ends.
    async fn keep(&self, up: &Up, output: &Output) {
        let Some(path) = &self.save else { return std::future::pending().await };
        let mut saved = 0;
        loop {
            tokio::time::sleep(SAVE_EVERY).await;
            let revision = up.cluster.revision();
            if revision != saved {
                match up::save(&up.cluster, path) {
                    Ok(()) => saved = revision,
                    Err(error) => output.error(&error),
                }
            }
        }
    }

    fn settings(&self) -> anyhow::Result<Option<Settings>> {
        let Some(path) = &self.injector else { return Ok(None) };
        let mut settings = match path.to_str().filter(|_| !path.exists()).and_then(Boxed::named) {
            Some(boxed) => boxed.settings(),
            None => Settings {
                inject_config: read(path).context("want a file, or one in the box: modern, 1.0")?,
                mesh_config: Some(MODERN.mesh.to_owned()),
                ..Settings::default()
            },
        };
        if let Some(path) = &self.values {
            settings.values = Some(read(path)?);
        }
        if let Some(path) = &self.mesh_config {
            settings.mesh_config = Some(read(path)?);
        }
        settings.environment = Environment::default();
        Ok(Some(settings))
    }

    /// What is there, and what to type next.
    fn welcome(&self, up: &Up) -> String {
        let kubeconfig = std::path::absolute(&self.kubeconfig).unwrap_or_else(|_| self.kubeconfig.clone());
        let mut text = String::new();
        let nodes = if self.nodes == 1 { "1 node".to_owned() } else { format!("{} nodes", self.nodes) };
        let version = self.kubernetes_version;
        let _ = writeln!(text, "listening on {}", up.cluster.url());
        let _ = writeln!(text, "cluster      Kubernetes {version}, {nodes}; nothing in it is pulled or really run");
        if let Some(path) = &self.injector {
            let _ = writeln!(text, "injector     {} in namespace istio-system", path.display());
        }
        if let Some(path) = &self.save {
            let _ = writeln!(text, "saved to     {}, every 10 s and at the end", path.display());
        }
        let _ = writeln!(text, "\n    export KUBECONFIG={}", quoted(&kubeconfig));
        if self.injector.is_some() {
            text.push_str("    kubectl label namespace default istio-injection=enabled\n");
        }
        text.push_str("    kubectl create deployment web --image=nginx --replicas=2\n    kubectl get pods --watch\n\nCtrl-C ends it.");
        text
    }
}

/// A path as a shell reads it back.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+:@".contains(letter);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
