//! `fake-apiserver`: a kube-apiserver for tests in any language.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use fake_apiserver::{AuditPolicy, Authorization, FakeApiserver, Fault, KubernetesVersion};
use tokio::signal::unix::{SignalKind, signal};

/// Objects are thousands of small maps and texts, made in one thread and let go in another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A kube-apiserver in one small process, for trying admission webhooks: it keeps everything in memory, starts in
/// milliseconds and calls webhooks as a real one does.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on; port 0 takes any free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// File to write a kubeconfig to (user `admin`, group `system:masters`, may do everything)
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// Seed of uids and generated names
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Who decides what other users may do: the kubeconfig's may do everything either way
    #[arg(long, value_enum, default_value_t = Mode::Rbac)]
    authorization_mode: Mode,
    /// So many simulated nodes: pods are scheduled, their containers start, become ready and end; nothing is pulled or run
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(..=30_000), conflicts_with = "no_controllers")]
    nodes: u32,
    /// Run no controllers: nothing but requests changes anything
    #[arg(long)]
    no_controllers: bool,
    /// Version of Kubernetes to imitate, as far as a webhook can see it: 1.9 to 1.36
    #[arg(long, value_name = "VERSION", default_value_t = KubernetesVersion::default())]
    kubernetes_version: KubernetesVersion,
    /// Exactly these admission plugins, separated by commas, and no other
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    admission_plugins: Option<Vec<String>>,
    /// Admission plugins to run besides the default ones
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    enable_admission_plugins: Vec<String>,
    /// Admission plugins not to run
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    disable_admission_plugins: Vec<String>,
    /// Something that is to go wrong, again and again if given more than once: `webhook=NAME,delay=5s`, `webhook=*,refuse`,
    /// `webhook=NAME,status=503,for=60s,probability=0.1`, `api,verb=create,resource=pods,status=429,retry-after=1`
    #[arg(long, value_name = "FAULT")]
    fault: Vec<Fault>,
    /// File to append the audit log to, one JSON line for each event (audit.k8s.io/v1); `-` is standard output
    #[arg(long, value_name = "FILE")]
    audit_log_path: Option<PathBuf>,
    /// Audit policy (audit.k8s.io Policy, YAML or JSON); without it everything is logged at level RequestResponse, where a
    /// real apiserver logs nothing
    #[arg(long, value_name = "FILE", requires = "audit_log_path")]
    audit_policy_file: Option<PathBuf>,
    /// Events of each resource that are kept for watches
    #[arg(long, default_value_t = 4096)]
    watch_history: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    /// Roles and bindings, as in a real cluster
    Rbac,
    /// Everybody may do everything
    AlwaysAllow,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .and_then(|runtime| runtime.block_on(run(arguments)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let authorization = match arguments.authorization_mode {
        Mode::Rbac => Authorization::Rbac,
        Mode::AlwaysAllow => Authorization::AlwaysAllow,
    };
    let mut builder = FakeApiserver::builder()
        .kubernetes_version(arguments.kubernetes_version)
        .enable_admission_plugins(arguments.enable_admission_plugins.iter().map(String::as_str))
        .disable_admission_plugins(arguments.disable_admission_plugins.iter().map(String::as_str));
    if let Some(names) = &arguments.admission_plugins {
        builder = builder.admission_plugins(names.iter().map(String::as_str));
    }
    for fault in arguments.fault {
        builder = builder.fault(fault);
    }
    if let Some(path) = &arguments.audit_policy_file {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}: give --audit-policy-file a readable file", path.display()))?;
        let policy = AuditPolicy::parse(&text).with_context(|| format!("cannot use {}", path.display()))?;
        builder = builder.audit_policy(policy);
    }
    match &arguments.audit_log_path {
        None => {}
        Some(path) if path.as_os_str() == "-" => builder = builder.audit_log(std::io::stdout()),
        Some(path) => {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
            let file = file
                .with_context(|| format!("cannot write {}: give --audit-log-path a writable file", path.display()))?;
            builder = builder.audit_log(file);
        }
    }
    let cluster = builder
        .listen(arguments.listen)
        .seed(arguments.seed)
        .authorization(authorization)
        .watch_history(arguments.watch_history)
        .controllers(!arguments.no_controllers)
        .nodes(arguments.nodes)
        .start()
        .await?;
    if let Some(path) = &arguments.kubeconfig {
        write_private(path, cluster.kubeconfig()).with_context(|| {
            format!("cannot write the kubeconfig to {}: give --kubeconfig a writable path", path.display())
        })?;
    }
    writeln!(std::io::stdout(), "listening on {}", cluster.url()).context("cannot write to standard output")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Writes a file that only its owner may read: it holds a key.
fn write_private(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
