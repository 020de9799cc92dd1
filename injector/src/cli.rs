//! The command `sidecar-injector`: flags in, an exit status out.

mod serve;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{Environment, Settings};
use crate::serve::Files;

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
    Serve(serve::Serve),
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
    #[arg(long, value_name = "FILE")]
    inject_config: PathBuf,
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
    fn files(&self) -> Files {
        Files {
            inject_config: self.inject_config.clone(),
            values: self.values.clone(),
            mesh_config: self.mesh_config.clone(),
            cluster_objects: self.cluster_objects.clone(),
            revision: self.revision.clone(),
            environment: Environment::from_variables(variables()),
        }
    }

    #[expect(dead_code, reason = "for the offline commands")]
    fn settings(&self) -> anyhow::Result<Settings> {
        Ok(self.files().read()?)
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
        Command::Serve(serve) => serve.run(),
    });
    match done {
        Ok(code) => code,
        Err(error) => {
            // Nothing can be done about a closed stderr.
            let _ = writeln!(std::io::stderr(), "sidecar-injector: {error:#}");
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
