//! `sidecar-injector serve`.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::SettingsFlags;
use crate::capture::{RecordingFlags, duration};
use crate::serve::{self, Handle, Limits, Options, Source, Tls};

/// The flags of `serve`.
#[derive(Args, Debug)]
pub(super) struct Serve {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:15017")]
    listen: SocketAddr,
    /// Where /ready, /healthz and /metrics are answered without TLS as well
    #[arg(long, value_name = "ADDR:PORT")]
    monitoring_listen: Option<SocketAddr>,
    /// The certificate chain (PEM)
    #[arg(long, value_name = "PEM")]
    tls_cert: PathBuf,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "PEM")]
    tls_key: PathBuf,
    #[command(flatten)]
    settings: SettingsFlags,
    /// How often the files are looked at for changes
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    poll_interval: Duration,
    /// Bytes of one request body; more is answered with 413
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().body)]
    max_body_bytes: usize,
    /// Bytes of all request bodies held at one time; more has to wait
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().bodies)]
    max_bodies_bytes: usize,
    /// Open connections; more have to wait
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::default().connections)]
    max_connections: usize,
    /// Time for the head of a request
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    read_header_timeout: Duration,
    /// How long a connection without a request stays open
    #[arg(long, value_name = "TIME", default_value = "90s", value_parser = duration)]
    idle_timeout: Duration,
    /// After SIGTERM: how long new requests are still answered, while /ready says no
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    shutdown_delay: Duration,
    /// After that: how long requests may take to end
    #[arg(long, value_name = "TIME", default_value = "8s", value_parser = duration)]
    shutdown_timeout: Duration,
    /// Record the reviews and their answers in this directory, secrets redacted; see the flags below
    #[arg(long, value_name = "DIR")]
    capture: Option<PathBuf>,
    #[command(flatten)]
    recording: RecordingFlags,
    /// Threads that answer requests; default: one per processor
    #[arg(long, value_name = "NUMBER")]
    threads: Option<usize>,
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.enable_all();
        if let Some(threads) = self.threads {
            runtime.worker_threads(threads.max(1));
        }
        let runtime = runtime.build().context("cannot start the threads")?;
        runtime.block_on(async {
            // Before anybody can know that it runs: a signal that comes early has to end it in order, too.
            let signals = Signals::new()?;
            let mut options = self.options()?;
            options.recorder = match &self.capture {
                Some(directory) => Some(self.recording.start(directory, options.clock)?),
                None => {
                    let needless = self.recording.given();
                    anyhow::ensure!(needless.is_none(), "{} needs --capture DIR", needless.unwrap_or_default());
                    None
                }
            };
            let recorder = options.recorder.clone();
            let handle = serve::start(options).await?;
            {
                let mut out = std::io::stdout().lock();
                writeln!(out, "listening on https://{}", handle.addr()).and_then(|()| out.flush())?;
            }
            tracing::info!(address = %handle.addr(), config = handle.config_hash(), "ready");
            signals.until_told_to_stop(&handle).await;
            tracing::info!("stopping");
            handle.shutdown().await;
            if let Some(recorder) = recorder {
                let counts = recorder.close();
                tracing::info!(written = counts.written, dropped = counts.dropped, "capture ended");
            }
            Ok(ExitCode::SUCCESS)
        })
    }

    fn options(&self) -> anyhow::Result<Options> {
        let tls = Tls::Files { certificate: self.tls_cert.clone(), key: self.tls_key.clone() };
        let source = match self.settings.boxed() {
            Some(_) => Source::Fixed(Arc::new(self.settings.injector()?)),
            None => Source::Files(self.settings.files()),
        };
        Ok(Options {
            listen: self.listen,
            monitoring: self.monitoring_listen,
            limits: Limits {
                body: self.max_body_bytes,
                bodies: self.max_bodies_bytes,
                connections: self.max_connections,
                head: self.read_header_timeout,
                idle: self.idle_timeout,
                stop_delay: self.shutdown_delay,
                stop: self.shutdown_timeout,
                ..Limits::default()
            },
            poll: self.poll_interval,
            ..Options::new(source, tls)
        })
    }
}

/// The signals that a server listens to.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen to signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT; SIGHUP reads the files at once.
    async fn until_told_to_stop(self, handle: &Handle) {
        let Self { mut terminate, mut interrupt, mut hang_up } = self;
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                _ = hang_up.recv() => for (what, outcome) in
                    [("configuration", handle.reload_config()), ("certificate", handle.reload_certificate())]
                {
                    match outcome {
                        Ok(reload) => tracing::info!(what, ?reload, "read again"),
                        Err(error) => {
                            let error = serve::causes(&error);
                            tracing::error!(what, error, "refused, the last good one stays in use");
                        }
                    }
                },
            }
        }
    }
}
