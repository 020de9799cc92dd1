//! `towtank replay`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::value::json;

use super::interrupt::{Interrupted, Signals};
use super::output::Output;
use super::progress::Bar;
use super::{injector, positive, read, reports, trust};
use crate::boxed;
use crate::cluster::{Fake, Setup};
use crate::https::{Endpoint, Trust};
use crate::replay::{
    Admission, Direct, Error, Hide, Identity, Log, Meta, Options, Pace, Place, Replayed, Shard, State, Stop, Target,
    Tracer, Webhook, Which, replay,
};
use crate::report::render;

type Serving = ::injector::serve::Handle;

/// Where the injector in this process is said to listen when it is reached without a connection.
const HANDED: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 443);

/// Requests under way at once, or for each processor.
const ABREAST: usize = 8;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Capture logs, or directories of them: JSON lines, plain, .gz or .zst; `-` is standard input. Default: the log in the box.
    #[arg(value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// The way that reviews take: an apiserver in this process, which calls the webhook as its configuration says, or
    /// direct: the recorded bytes straight to the webhook.
    #[arg(long, value_name = "WAY", value_enum, default_value_t = Way::Apiserver)]
    through: Way,
    /// The same as --through direct.
    #[arg(long, conflicts_with = "through")]
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
    /// The cluster in which reviews are replayed: a YAML stream, or what `kubectl get -o yaml` printed, with namespaces,
    /// objects and webhook configurations. It stands in place of the meta file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["direct", "meta"])]
    cluster: Option<PathBuf>,
    /// Requests under way at once. Default: 8, with the injector in this process 8 for each processor; with --rate or --pace
    /// 1024, which are then begun whether or not earlier ones have been answered.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=8192))]
    concurrency: Option<u16>,
    /// Replay each log so many times.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    repeat: u64,
    /// Requests a second, begun on time whether or not earlier ones have been answered; latency counts from that time.
    #[arg(long, value_name = "N", value_parser = positive)]
    rate: Option<f64>,
    /// Begin requests when they were recorded: `recorded`, or `recorded×10` for ten times as fast.
    #[arg(long, value_name = "PACE", value_parser = Pace::parse, conflicts_with = "rate")]
    pace: Option<Pace>,
    /// Replay a part of the logs: of every COUNT lines the one with this index, from 0. `towtank merge` puts results together.
    #[arg(long, value_name = "INDEX/COUNT", value_parser = Shard::parse)]
    shard: Option<Shard>,
    /// Keep in this file how far the replay has come, and go on from there if the file exists.
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Go through TLS and TCP to the injector in this process, too; otherwise it is handed the bytes.
    #[arg(long, conflicts_with = "webhook")]
    over_tls: bool,
    /// Seconds to wait for an answer (with --through direct; an apiserver goes by the webhook's timeoutSeconds).
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = positive)]
    timeout: f64,
    /// Show every webhook that was considered for a request, and what it did: `text`, or `json`, a line for each request and
    /// at last one with the result. With --json as `json`.
    #[arg(long, value_name = "FORMAT", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    trace: Option<Form>,
    /// Show only requests that ended so. Default: all that were sent.
    #[arg(long, value_name = "OUTCOME", value_enum, value_delimiter = ',', requires = "trace")]
    trace_only: Vec<Which>,
    /// Show at most so many requests.
    #[arg(long, value_name = "N", default_value_t = 100, requires = "trace")]
    trace_limit: u64,
    #[command(flatten)]
    reports: reports::Args,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Way {
    #[default]
    Apiserver,
    Direct,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            logs: Vec::new(),
            through: Way::Apiserver,
            direct: false,
            webhook: None,
            trust: trust::Args::default(),
            injector: injector::Args::default(),
            meta: None,
            cluster: None,
            concurrency: None,
            repeat: 1,
            rate: None,
            pace: None,
            shard: None,
            resume: None,
            over_tls: false,
            timeout: 30.0,
            trace: None,
            trace_only: Vec::new(),
            trace_limit: 100,
            reports: reports::Args::default(),
        }
    }
}

impl Args {
    pub(super) fn run(&self, output: &Output) -> anyhow::Result<bool> {
        let form = self.trace.map(|form| if output.json { Form::Json } else { form });
        anyhow::ensure!(
            form.is_none() || !self.reports.takes_stdout(),
            "--trace and --report FORMAT=-: both go to standard output: give the report a file"
        );
        let (replayed, trouble) = self.replayed_with(form)?;
        let result = replayed.json();
        // First what hours may have gone into, then what a full disk may refuse.
        if !self.reports.takes_stdout() {
            if form == Some(Form::Json) {
                output.print(&json!({ "result": result }).to_string());
            } else if output.json {
                output.print_json(&result);
            } else {
                output.print(&render(&replayed, output.style));
            }
        }
        self.reports.write(&result, output)?;
        trouble.map_or_else(|| Ok(replayed.is_ok()), Err)
    }

    /// Replays, without printing anything but progress. The second is an error to tell after the result.
    pub(super) fn replayed(&self) -> anyhow::Result<(Replayed, Option<anyhow::Error>)> {
        self.replayed_with(None)
    }

    fn replayed_with(&self, form: Option<Form>) -> anyhow::Result<(Replayed, Option<anyhow::Error>)> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let replayed = runtime.block_on(async {
            let signals = Signals::listen()?;
            let stop = signals.stop();
            signals.heed(replayed(self, form.map(|form| self.tracer(form)), stop)).await
        });
        // After an interrupt somebody may still wait for standard input.
        runtime.shutdown_background();
        replayed
    }

    /// Prints traces as they come.
    fn tracer(&self, form: Form) -> Tracer {
        let output = Output::new(form == Form::Json);
        Tracer::new(self.trace_only.clone(), self.trace_limit, move |traced| {
            output.print(&match form {
                Form::Text => traced.to_string(),
                Form::Json => traced.json().to_string(),
            });
        })
    }
}

async fn replayed(
    args: &Args,
    tracer: Option<Tracer>,
    stop: Stop,
) -> anyhow::Result<(Replayed, Option<anyhow::Error>)> {
    let logs: Vec<Log> = if args.logs.is_empty() { vec![boxed::LOG] } else { Log::from_paths(&args.logs)? };
    if args.repeat > 1 && logs.iter().any(|log| matches!(log, Log::Stdin)) {
        anyhow::bail!("standard input cannot be replayed more than once: give a file, or leave --repeat out");
    }
    for log in &logs {
        log.check()?;
    }
    let direct = args.direct || args.through == Way::Direct;
    anyhow::ensure!(
        !direct || tracer.is_none(),
        "--trace: only an apiserver chooses among webhooks: leave --through direct out"
    );
    // The injector in this process, if there is one, serves as long as this.
    let (target, injector): (Arc<dyn Target>, _) =
        if direct { straight(args).await? } else { through_apiserver(args, &logs, tracer.is_some()).await? };

    let options = Options { trace: tracer.map(Arc::new), stop, ..args.options(&logs, direct)? };
    let bar = Bar::new(&logs, args.repeat, options.shard);
    let replayed = replay(&logs, target, &options, |progress| bar.show(progress)).await;
    bar.finish();
    let (replayed, trouble) = match replayed {
        Ok(replayed) if replayed.interrupted => {
            let trouble = Interrupted(args.going_on(replayed.reviews()));
            (replayed, Some(trouble.into()))
        }
        Ok(replayed) => (replayed, None),
        Err(Error::Unkept { source, replayed }) => (*replayed, Some(source.into())),
        Err(error) => return Err(error.into()),
    };
    if let Some(injector) = injector {
        injector.shutdown().await;
    }
    let whole = args.shard.is_none_or(|shard| shard.of == 1);
    if replayed.reviews() == 0 && replayed.unreadable == 0 && whole && trouble.is_none() {
        let names: Vec<String> = logs.iter().map(Log::name).collect();
        anyhow::bail!("{}: no record in it: nothing was replayed", names.join(", "));
    }
    Ok((replayed, trouble))
}

impl Args {
    /// What goes on after so many reviews.
    fn going_on(&self, reviews: u64) -> String {
        let rest = match &self.resume {
            Some(file) => format!("the same command goes on from there ({})", file.display()),
            None => "with --resume FILE the same command could go on from there".to_owned(),
        };
        format!("this is the result of {reviews} reviews; {rest}")
    }

    fn options(&self, logs: &[Log], direct: bool) -> anyhow::Result<Options> {
        let pace = match (self.rate, &self.pace) {
            (Some(rate), _) => Pace::Rate(rate),
            (None, Some(pace)) => pace.clone(),
            (None, None) => Pace::Fast,
        };
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let alone = self.webhook.is_none() && !self.over_tls && pace == Pace::Fast;
        let concurrency = match (self.concurrency, &pace) {
            (Some(concurrency), _) => concurrency.into(),
            (None, Pace::Fast) => ABREAST * if alone { cores } else { 1 },
            (None, _) => 1024,
        };
        let abreast = if alone { (concurrency / cores).clamp(1, ABREAST) } else { 1 };
        let shard = self.shard.unwrap_or(Shard { index: 0, of: 1 });
        let state = match &self.resume {
            Some(_) if logs.iter().any(|log| matches!(log, Log::Stdin)) => {
                anyhow::bail!("--resume: standard input cannot be read again after a kill: give a file")
            }
            Some(file) => {
                let way = if direct { "direct" } else { "through an apiserver" };
                let target = match (&self.webhook, &self.injector.injector) {
                    (Some(url), _) => format!("{url}, {way}"),
                    (None, Some(file)) => format!("injector with {}, {way}", file.display()),
                    (None, None) => format!("injector in the box, {way}"),
                };
                Some(State::new(file.clone(), Identity::new(logs, self.repeat, shard, target)))
            }
            None => None,
        };
        let hide = match self.reports.show_values {
            true => None,
            false => Some(Arc::new(Hide::new().map_err(anyhow::Error::msg)?)),
        };
        Ok(Options { concurrency, abreast, repeat: self.repeat, pace, shard, state, hide, ..Options::default() })
    }
}

async fn straight(args: &Args) -> anyhow::Result<(Arc<dyn Target>, Option<Serving>)> {
    let timeout = Duration::from_secs_f64(args.timeout);
    if let Some(url) = &args.webhook {
        let endpoint = Endpoint::new(url, &args.trust.trust()?, timeout)?;
        return Ok((Arc::new(Direct::new(Webhook::Url { endpoint, injector: false })), None));
    }
    if !args.over_tls {
        return Ok((Arc::new(Direct::new(Webhook::Local(Arc::new(args.injector.load()?)))), None));
    }
    let (handle, certificate) = args.injector.start(&[]).await?;
    let endpoint = Endpoint::new(&format!("https://{}", handle.addr()), &Trust::Pem(certificate.ca), timeout)?;
    Ok((Arc::new(Direct::new(Webhook::Url { endpoint, injector: true })), Some(handle)))
}

async fn through_apiserver(
    args: &Args,
    logs: &[Log],
    traces: bool,
) -> anyhow::Result<(Arc<dyn Target>, Option<Serving>)> {
    let mut meta = meta(args, logs)?;
    let mut setup = Setup::default();
    let mut injector = None;
    if let Some(url) = &args.webhook {
        let ca = match args.trust.trust()? {
            Trust::File(path) => read(&path)?,
            _ => anyhow::bail!(
                "--insecure-skip-verify needs --through direct: an apiserver verifies, give it the authority with --ca FILE"
            ),
        };
        // What is wrong with either is told now, not 603 times later.
        Endpoint::new(url, &Trust::Pem(ca.clone()), Duration::from_secs(1))?;
        meta.redirect(&Place::Url(url.clone(), ca));
    } else {
        let services = meta.services();
        let (address, ca) = if args.over_tls {
            let (handle, certificate) = args.injector.start(&services).await?;
            let address = handle.addr();
            injector = Some(handle);
            (address, certificate.ca)
        } else {
            setup.hosts.hand(HANDED, Arc::new(args.injector.load()?));
            (HANDED, String::new())
        };
        setup.services = services.into_iter().map(|service| (service, address)).collect();
        meta.redirect(&Place::Local(address, ca));
    }
    let api = Fake::start(setup).await?;
    let target = Admission::new(Box::new(api), &meta).await?;
    Ok((Arc::new(if traces { target.with_traces() } else { target }), injector))
}

/// What surrounds the logs: the file that was named, those beside the logs, or a guess from the first record.
fn meta(args: &Args, logs: &[Log]) -> anyhow::Result<Meta> {
    if let Some(path) = &args.cluster {
        return Ok(Meta::of_cluster(&path.display().to_string(), &read(path)?, || guess(logs))?);
    }
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
            Ok(guess(logs))
        }
    }
}

/// What one would think from the first record.
fn guess(logs: &[Log]) -> Meta {
    let first = logs.iter().filter(|log| !matches!(log, Log::Stdin)).find_map(|log| log.open().ok()?.flatten().next());
    Meta::guess(first.as_ref())
}
