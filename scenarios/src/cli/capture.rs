//! `towtank capture`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use apimachinery::clock::Clock;
use apimachinery::value::json;
use injector::capture::{RecordingFlags, duration};
use tokio::signal::unix::{SignalKind, signal};

use super::output::Output;
use super::read;
use crate::capture::{Limits, Options, Upstream, start};
use crate::hook::Certificate;
use crate::https::Trust;

#[derive(Debug, clap::Args)]
#[group(id = "capture", multiple = true)]
pub(super) struct Args {
    /// Where to listen with TLS; port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:8443")]
    listen: SocketAddr,
    /// The webhook: an https URL. A path in it goes before the path of each request.
    #[arg(long, value_name = "URL")]
    upstream: String,
    /// PEM file of the authority that signed the webhook's certificate.
    #[arg(long, value_name = "FILE", required_unless_present = "upstream_insecure_skip_verify")]
    upstream_ca: Option<PathBuf>,
    /// Believe any certificate of the webhook.
    #[arg(long, conflicts_with = "upstream_ca")]
    upstream_insecure_skip_verify: bool,
    /// The directory of the capture; made if it does not exist.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The certificate chain to show (PEM). Default: one made at the start, see --tls-name and --write-ca.
    #[arg(long, value_name = "PEM", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM).
    #[arg(long, value_name = "PEM", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A service for which the certificate is made, as NAMESPACE/NAME; localhost and 127.0.0.1 are in it as well.
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = service, conflicts_with = "tls_cert")]
    tls_name: Vec<(String, String)>,
    /// Where the authority of the certificate made at the start is written (PEM), for the caBundle.
    #[arg(long, value_name = "FILE", conflicts_with = "tls_cert")]
    write_ca: Option<PathBuf>,
    /// Where /metrics, /healthz and /ready are answered, without TLS.
    #[arg(long, value_name = "ADDR:PORT")]
    admin: Option<SocketAddr>,
    /// Bytes of one request body; more is answered with 413.
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().request)]
    max_body_bytes: usize,
    /// Time for a request, the webhook's answer included; then the answer is 504.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    upstream_timeout: Duration,
    /// Threads that pass requests on. One is enough for some thousand a second, and adds least to each.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    #[command(flatten)]
    recording: RecordingFlags,
}

impl Args {
    /// Serves until SIGTERM or SIGINT.
    pub(super) fn run(&self, output: &Output) -> anyhow::Result<bool> {
        // Trouble goes to standard error; a second subscriber in the process would be a mistake of the program's.
        let _ = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).try_init();
        // More threads would hand a request from one to the other, and on a busy machine each of them is waited for.
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(self.threads.into()).enable_all().build()?.block_on(self.serve(output))
    }

    async fn serve(&self, output: &Output) -> anyhow::Result<bool> {
        // Before anybody can know that it runs: a signal that comes early has to end it in order, too.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let trust = self.upstream_ca.clone().map_or(Trust::Anyone, Trust::File);
        let upstream = Upstream::new(&self.upstream, &trust)?;
        let (certificate, key) = self.certificate()?;
        let handle = start(Options {
            listen: self.listen,
            admin: self.admin,
            certificate,
            key,
            upstream,
            recorder: self.recording.start(&self.dir, Clock::system())?,
            limits: Limits { request: self.max_body_bytes, time: self.upstream_timeout, ..Limits::default() },
        })
        .await?;
        if let Some(admin) = handle.admin {
            output.print(&format!("metrics on http://{admin}/metrics"));
        }
        output.print(&format!("listening on https://{}", handle.addr));
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let counts = handle.shutdown().await;
        if output.json {
            output.print_json(&json!({ "requests": counts.offered, "written": counts.written,
                "dropped": counts.dropped, "bytes": counts.bytes, "files": counts.files }));
        } else {
            output.print(&format!(
                "captured {} of {} requests, {} dropped, {} bytes in {} files in {}",
                counts.written,
                counts.offered,
                counts.dropped,
                counts.bytes,
                counts.files,
                self.dir.display()
            ));
        }
        Ok(counts.dropped == 0)
    }

    fn certificate(&self) -> anyhow::Result<(String, String)> {
        if let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) {
            return Ok((read(certificate)?, read(key)?));
        }
        let services = self.tls_name.iter().map(|(namespace, name)| (namespace.as_str(), name.as_str()));
        let made = Certificate::for_services(services)?;
        if let Some(file) = &self.write_ca {
            std::fs::write(file, &made.ca).with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok((made.chain, made.key))
    }
}

fn service(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err("want NAMESPACE/NAME, such as istio-system/istiod".to_owned()),
    }
}
