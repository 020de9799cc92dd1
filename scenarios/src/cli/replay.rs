//! `towtank replay`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::output::Output;
use super::{injector, positive, read, trust};
use crate::boxed;
use crate::cluster::{Fake, Setup};
use crate::https::{Endpoint, Trust};
use crate::replay::Replayed;
use crate::replay::{Admission, Direct, Log, Meta, Options, Place, Target, replay};
use crate::report::render;

type Serving = ::injector::serve::Handle;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Capture logs: JSON lines, plain, .gz or .zst; `-` is standard input. Default: the log in the box.
    #[arg(value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// Post the recorded bytes straight at the webhook, without an apiserver.
    #[arg(long)]
    direct: bool,
    /// The webhook: an https URL. Default: the sidecar injector in this process.
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    #[command(flatten)]
    trust: trust::Args,
    #[command(flatten)]
    injector: injector::Args,
    /// Namespaces and webhook configuration of the log. Default: LOG's name with `.meta.json`, if it exists.
    #[arg(long, value_name = "FILE", conflicts_with = "direct")]
    meta: Option<PathBuf>,
    /// Requests under way at once.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// Replay each log so many times.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    repeat: u64,
    /// Requests a second at most.
    #[arg(long, value_name = "N", value_parser = positive)]
    rate: Option<f64>,
    /// Seconds to wait for an answer (with --direct; an apiserver goes by the webhook's timeoutSeconds).
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = positive)]
    timeout: f64,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            logs: Vec::new(),
            direct: false,
            webhook: None,
            trust: trust::Args::default(),
            injector: injector::Args::default(),
            meta: None,
            concurrency: 8,
            repeat: 1,
            rate: None,
            timeout: 30.0,
        }
    }
}

impl Args {
    pub(super) fn run(&self, output: &Output) -> anyhow::Result<bool> {
        let replayed = self.replayed(output)?;
        if output.json {
            output.print_json(&replayed.json());
        } else {
            output.print(&render(&replayed, output.style));
        }
        Ok(replayed.is_ok())
    }

    /// Replays, without printing anything but progress.
    pub(super) fn replayed(&self, output: &Output) -> anyhow::Result<Replayed> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(replayed(self, output))
    }
}

async fn replayed(args: &Args, output: &Output) -> anyhow::Result<Replayed> {
    let logs: Vec<Log> = if args.logs.is_empty() {
        vec![boxed::LOG]
    } else {
        args.logs.iter().map(|path| Log::from_path(path)).collect()
    };
    if args.repeat > 1 && logs.iter().any(|log| matches!(log, Log::Stdin)) {
        anyhow::bail!("standard input cannot be replayed more than once: give a file, or leave --repeat out");
    }
    for log in &logs {
        log.check()?;
    }
    // The injector in this process, if there is one, serves as long as this.
    let (target, injector): (Arc<dyn Target>, _) =
        if args.direct { direct(args).await? } else { through_apiserver(args, &logs).await? };

    let options = Options { concurrency: args.concurrency.into(), repeat: args.repeat, rate: args.rate };
    let total = if logs.iter().all(|log| matches!(log, Log::Bytes { .. })) { boxed::REVIEWS * args.repeat } else { 0 };
    let bar = output.progress(total);
    let replayed = replay(&logs, target, &options, |done| bar.set_position(done)).await?;
    bar.finish_and_clear();
    if let Some(injector) = injector {
        injector.shutdown().await;
    }
    if replayed.reviews() == 0 && replayed.unreadable == 0 {
        let names: Vec<String> = logs.iter().map(Log::name).collect();
        anyhow::bail!("{}: no record in it: nothing was replayed", names.join(", "));
    }
    Ok(replayed)
}

async fn direct(args: &Args) -> anyhow::Result<(Arc<dyn Target>, Option<Serving>)> {
    let timeout = Duration::from_secs_f64(args.timeout);
    if let Some(url) = &args.webhook {
        let endpoint = Endpoint::new(url, &args.trust.trust()?, timeout)?;
        return Ok((Arc::new(Direct::new(endpoint)), None));
    }
    let (handle, certificate) = args.injector.start(&[]).await?;
    let endpoint = Endpoint::new(&format!("https://{}", handle.addr()), &Trust::Pem(certificate.ca), timeout)?;
    Ok((Arc::new(Direct::injector(endpoint)), Some(handle)))
}

async fn through_apiserver(args: &Args, logs: &[Log]) -> anyhow::Result<(Arc<dyn Target>, Option<Serving>)> {
    let mut meta = meta(args, logs)?;
    let mut setup = Setup::default();
    let mut injector = None;
    if let Some(url) = &args.webhook {
        let ca = match args.trust.trust()? {
            Trust::File(path) => read(&path)?,
            _ => anyhow::bail!(
                "--insecure-skip-verify needs --direct: an apiserver verifies, give it the authority with --ca FILE"
            ),
        };
        // What is wrong with either is told now, not 603 times later.
        Endpoint::new(url, &Trust::Pem(ca.clone()), Duration::from_secs(1))?;
        meta.redirect(&Place::Url(url.clone(), ca));
    } else {
        let services = meta.services();
        let (handle, certificate) = args.injector.start(&services).await?;
        let address: SocketAddr = handle.addr();
        setup.services = services.into_iter().map(|service| (service, address)).collect();
        meta.redirect(&Place::Local(address, certificate.ca));
        injector = Some(handle);
    }
    let api = Fake::start(setup).await?;
    Ok((Arc::new(Admission::new(Box::new(api), &meta).await?), injector))
}

/// What surrounds the logs: the file that was named, those beside the logs, or a guess from the first record.
fn meta(args: &Args, logs: &[Log]) -> anyhow::Result<Meta> {
    if let Some(path) = &args.meta {
        return Ok(Meta::read(&path.display().to_string(), &read(path)?)?);
    }
    match logs {
        [Log::Bytes { .. }] => Ok(Meta::read("in the box", boxed::META)?),
        _ => {
            for log in logs {
                if let Log::File(path) = log
                    && let Some(path) = Meta::beside(path)
                {
                    return Ok(Meta::read(&path.display().to_string(), &read(&path)?)?);
                }
            }
            let first =
                logs.iter().filter(|log| !matches!(log, Log::Stdin)).find_map(|log| log.open().ok()?.flatten().next());
            Ok(Meta::guess(first.as_ref()))
        }
    }
}
