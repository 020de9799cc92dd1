//! The command `sidecar-injector`: flags in, an exit status out.

mod bootstrap;
mod explain;
mod inject;
mod input;
mod iptables;
mod lint;
mod render;
mod serve;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::Injector;
use crate::boxed::Boxed;
use crate::config::{Environment, Settings};
use crate::serve::{Files, LoadError, causes};

/// An Istio-compatible sidecar injector.
#[derive(Debug, Parser)]
#[command(name = "sidecar-injector", version, about, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: Log,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer admission reviews over HTTPS
    Serve(Box<serve::Serve>),
    /// Inject manifests: YAML documents in, injected YAML documents out
    Inject(inject::Inject),
    /// Say whether a pod would be injected, and which rule decides
    Explain(explain::Explain),
    /// Check a configuration before it goes to a cluster
    Lint(lint::Lint),
    /// Show what the templates print for a pod, with line numbers
    Render(render::Render),
    /// Print the commands or rules with which Istio's init container redirects a pod's traffic
    IstioIptables(iptables::Iptables),
    /// Print what Istio 1.0's agent tells its Envoy at the start
    Bootstrap(bootstrap::Bootstrap),
}

/// How the log looks. It goes to stderr and holds no content of pods, values or keys.
#[derive(Debug, Args)]
struct Log {
    /// The form of a line
    #[arg(long, value_enum, default_value_t = LogFormat::Text, global = true)]
    log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or directives such as `info,injector::serve=debug`
    #[arg(long, default_value = "info", env = "LOG_LEVEL", global = true)]
    log_level: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// The injector's configuration, as files.
#[derive(Args, Clone, Debug)]
struct SettingsFlags {
    /// The ConfigMap istio-sidecar-injector, or the text of its key `config`
    #[arg(long, value_name = "FILE", required_unless_present = "boxed")]
    inject_config: Option<PathBuf>,
    /// A configuration that comes with the program, instead of --inject-config
    #[arg(long, value_name = "NAME", value_parser = ["1.0", "modern"], conflicts_with = "inject_config")]
    boxed: Option<String>,
    /// The values (YAML or JSON); default: those of the ConfigMap
    #[arg(long, value_name = "FILE")]
    values: Option<PathBuf>,
    /// The mesh configuration (YAML or JSON), laid over the defaults of the configuration's era
    #[arg(long, value_name = "FILE")]
    mesh_config: Option<PathBuf>,
    /// The control plane's revision; default: as Istio's `default`
    #[arg(long, value_name = "NAME")]
    revision: Option<String>,
    /// A v1 List of the Node, Namespace and ProxyConfig objects of the cluster (YAML or JSON)
    #[arg(long, value_name = "FILE")]
    cluster_objects: Option<PathBuf>,
}

impl SettingsFlags {
    /// The configuration in the box that is asked for, if any.
    fn boxed(&self) -> Option<Boxed> {
        self.boxed.as_deref().and_then(Boxed::named)
    }

    fn files(&self) -> Files {
        Files {
            inject_config: self.inject_config.clone().unwrap_or_default(),
            values: self.values.clone(),
            mesh_config: self.mesh_config.clone(),
            cluster_objects: self.cluster_objects.clone(),
            revision: self.revision.clone(),
            environment: Environment::from_variables(variables()),
        }
    }

    /// The settings as they are now.
    fn settings(&self) -> anyhow::Result<Settings> {
        let files = self.files();
        Ok(match self.boxed() {
            None => files.read()?,
            Some(boxed) => files.read_over(boxed.settings())?,
        })
    }

    /// The injector that they make; an error names the file.
    fn injector(&self) -> anyhow::Result<Injector> {
        let files = self.files();
        Injector::load(self.settings()?).map_err(|error| match self.boxed {
            None => anyhow::Error::new(LoadError::config(&files, error)),
            Some(_) => anyhow::Error::new(error),
        })
    }
}

/// The process's environment variables that are text.
fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Runs the command that the process's arguments ask for. Status 0: done; 1: failed, with a message on stderr;
/// 2: the flags make no sense.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = start_log(&cli.log).and_then(|()| match cli.command {
        Command::Serve(command) => command.run(),
        Command::Inject(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::Lint(command) => command.run(),
        Command::Render(command) => command.run(),
        Command::IstioIptables(command) => command.run(),
        Command::Bootstrap(command) => command.run(),
    });
    match done {
        Ok(code) => code,
        Err(error) => {
            // Nothing can be done about a closed stderr.
            let _ = writeln!(std::io::stderr(), "sidecar-injector: {}", causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn start_log(log: &Log) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&log.log_level)
        .map_err(|error| anyhow::anyhow!("--log-level {}: {error}", log.log_level))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log.log_format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
