//! `towtank compare`.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ::injector::Injector;
use ::injector::boxed::Boxed;
use ::injector::config::{Environment, Settings};
use anyhow::Context;

use super::interrupt::{Interrupted, Signals};
use super::output::Output;
use super::progress::Bar;
use super::{positive, read, reports};
use crate::boxed;
use crate::compare::{Allowed, Backend, Comparison, Contender, Error, Options, compare};
use crate::hook::Certificate;
use crate::https::{Endpoint, Trust};
use crate::replay::{Log, Shard, Stop, Webhook};

/// How long a program may take until it accepts connections.
const READY: Duration = Duration::from_secs(20);

#[derive(Debug, clap::Args)]
#[command(after_help = "SIDE is one of\n  \
    recorded                      what the log says was answered\n  \
    modern, 1.0                   an injector configuration in the box\n  \
    FILE[,values=F][,mesh=F][,revision=R][,native-sidecars=true]\n                                \
    the injector with this ConfigMap, of any era of Istio\n  \
    https://HOST[:PORT][/PATH][,ca=F|,insecure]\n                                \
    a webhook\n  \
    exec:PROGRAM ARGUMENT…        a webhook that is started for this; {listen} becomes the address to listen on\n                                \
    (without it, --listen ADDRESS is appended), {cert} and {key} PEM files for that address")]
pub(super) struct Args {
    /// Capture logs, or directories of them: JSON lines, plain, .gz or .zst; `-` is standard input. Default: the log in the box.
    #[arg(value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// What is in place; see below.
    #[arg(long, value_name = "SIDE", default_value = "recorded")]
    baseline: String,
    /// What might take its place.
    #[arg(long, value_name = "SIDE")]
    candidate: String,
    /// Expected differences: a YAML list of `pattern` (a path, a title or an id; `*` stands for any text) and `reason`, and
    /// if wanted `before` and `after`.
    #[arg(long, value_name = "FILE")]
    allow: Option<PathBuf>,
    /// Save the minimal reproduction of each class as a scenario for `towtank run`.
    #[arg(long, value_name = "DIR")]
    save_scenarios: Option<PathBuf>,
    /// Classes for which a minimal reproduction is sought, the largest first.
    #[arg(long, value_name = "N", default_value_t = 50)]
    minimal: usize,
    /// Reviews under way at once.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// Compare a part of the logs: of every COUNT lines the one with this index, from 0.
    #[arg(long, value_name = "INDEX/COUNT", value_parser = Shard::parse)]
    shard: Option<Shard>,
    /// Seconds to wait for an answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = positive)]
    timeout: f64,
    #[command(flatten)]
    reports: reports::Args,
}

impl Args {
    pub(super) fn run(&self, output: &Output) -> anyhow::Result<bool> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let compared = runtime.block_on(async {
            let signals = Signals::listen()?;
            let stop = signals.stop();
            signals.heed(self.comparison(stop)).await
        });
        // After an interrupt somebody may still wait for standard input.
        runtime.shutdown_background();
        let (comparison, trouble) = compared?;
        let result = apimachinery::value::to_value(&comparison)?;
        // First what hours may have gone into, then what a full disk may refuse.
        if !self.reports.takes_stdout() {
            if output.json {
                output.print_json(&result);
            } else {
                output.print(&super::comparison::text(&comparison, output.style));
            }
        }
        self.reports.write(&result, output)?;
        trouble.map_or_else(|| Ok(comparison.is_ok()), Err)
    }

    /// The comparison, and an error to tell after it.
    async fn comparison(&self, stop: Stop) -> anyhow::Result<(Comparison, Option<anyhow::Error>)> {
        let logs: Vec<Log> = if self.logs.is_empty() { vec![boxed::LOG] } else { Log::from_paths(&self.logs)? };
        let allowed = match &self.allow {
            Some(path) => Allowed::parse(&read(path)?)
                .map_err(|message| anyhow::anyhow!("allow-list {}: {message}", path.display()))?,
            None => Allowed::default(),
        };
        let timeout = Duration::from_secs_f64(self.timeout);
        let baseline = Party::start(&self.baseline, timeout).await.context("--baseline")?;
        let candidate = Party::start(&self.candidate, timeout).await.context("--candidate")?;
        let options = Options {
            concurrency: self.concurrency.into(),
            shard: self.shard.unwrap_or(Shard { index: 0, of: 1 }),
            minimal: self.minimal,
            allowed,
            show_values: self.reports.show_values,
            save: self.save_scenarios.clone(),
            stop,
        };
        let bar = Bar::new(&logs, 1, options.shard);
        let progress = |progress| bar.show(progress);
        let compared = compare(&logs, &baseline.contender, &candidate.contender, &options, progress).await;
        bar.finish();
        let (comparison, trouble) = match compared {
            Ok(comparison) if comparison.interrupted => {
                let trouble = Interrupted(format!("this is the result of {} reviews", comparison.reviews));
                return Ok((comparison, Some(trouble.into())));
            }
            Ok(comparison) => (comparison, None),
            Err(Error::Save { file, source, comparison }) => {
                (*comparison, Some(anyhow::Error::from(source).context(format!("cannot save scenario {file}"))))
            }
            Err(error) => return Err(error.into()),
        };
        let whole = options.shard.of == 1;
        anyhow::ensure!(
            comparison.reviews + comparison.unreadable > 0 || !whole,
            "no record in the logs: nothing was compared"
        );
        anyhow::ensure!(
            comparison.not_recorded < comparison.reviews || comparison.reviews == 0,
            "the log holds no responses to compare with: name a --baseline"
        );
        Ok((comparison, trouble))
    }
}

/// A side, and the program behind it if there is one.
struct Party {
    contender: Contender,
    _program: Option<Program>,
}

impl Party {
    async fn start(name: &str, timeout: Duration) -> anyhow::Result<Self> {
        let of = |webhook, backend, program| Self {
            contender: Contender { name: name.to_owned(), webhook, backend },
            _program: program,
        };
        if name == "recorded" {
            return Ok(of(Webhook::Recorded, None, None));
        }
        if let Some(line) = name.strip_prefix("exec:") {
            let (program, endpoint) = Program::start(line, timeout).await?;
            return Ok(of(Webhook::Url { endpoint, injector: false }, None, Some(program)));
        }
        let mut parts = name.split(',');
        let first = parts.next().unwrap_or_default();
        let options: Vec<(&str, &str)> = parts.map(|part| part.split_once('=').unwrap_or((part, ""))).collect();
        let unknown =
            |known: &[&str]| options.iter().find(|(key, _)| !known.contains(key)).map(|(key, _)| (*key).to_owned());
        let option = |key: &str| options.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
        if first.contains("://") {
            if let Some(key) = unknown(&["ca", "insecure"]) {
                anyhow::bail!("{key:?}: a URL may be followed by ,ca=FILE or ,insecure");
            }
            let trust = match (option("ca"), option("insecure")) {
                (Some(file), _) => Trust::File(file.into()),
                (None, Some(_)) => Trust::Anyone,
                (None, None) => {
                    anyhow::bail!("whose certificate {first} may show is not known: append ,ca=FILE or ,insecure")
                }
            };
            let endpoint = Endpoint::new(first, &trust, timeout)?;
            let backend = option("ca").map(|ca| Backend::Url(first.to_owned(), absolute(ca)));
            return Ok(of(Webhook::Url { endpoint, injector: false }, backend, None));
        }
        if let Some(key) = unknown(&["values", "mesh", "revision", "native-sidecars"]) {
            anyhow::bail!(
                "{key:?}: a configuration may be followed by ,values=FILE ,mesh=FILE ,revision=NAME ,native-sidecars=true"
            );
        }
        let path = Path::new(first);
        let (mut settings, config) = match Boxed::named(first).filter(|_| !path.exists()) {
            Some(boxed) => (boxed.settings(), first.to_owned()),
            None => {
                let settings = Settings { inject_config: read(path)?, ..Settings::default() };
                (settings, absolute(first).display().to_string())
            }
        };
        for (key, into) in [("values", &mut settings.values), ("mesh", &mut settings.mesh_config)] {
            if let Some(file) = option(key) {
                *into = Some(read(Path::new(file))?);
            }
        }
        settings.revision = option("revision").map(str::to_owned).or(settings.revision);
        let native = option("native-sidecars").map(|value| ("ENABLE_NATIVE_SIDECARS".to_owned(), value.to_owned()));
        settings.environment = Environment::from_variables(native);
        let injector = Injector::load(settings).with_context(|| format!("cannot load {first}"))?;
        let backend = Backend::Injector {
            config,
            values: option("values").map(absolute),
            mesh_config: option("mesh").map(absolute),
        };
        Ok(of(Webhook::Local(Arc::new(injector)), Some(backend), None))
    }
}

fn absolute(path: &str) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.into())
}

/// A program that is ended with its side.
struct Program {
    child: Child,
    /// Its certificate's files.
    _files: tempfile::TempDir,
}

impl Program {
    async fn start(line: &str, timeout: Duration) -> anyhow::Result<(Self, Endpoint)> {
        // A port that was free a moment ago.
        let address: SocketAddr = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let certificate = Certificate::for_services([("default", "localhost")])?;
        let files = tempfile::tempdir()?;
        let (cert, key) = (files.path().join("cert.pem"), files.path().join("key.pem"));
        std::fs::write(&cert, &certificate.chain)?;
        std::fs::write(&key, &certificate.key)?;
        let filled = |word: &str| {
            word.replace("{listen}", &address.to_string())
                .replace("{cert}", &cert.display().to_string())
                .replace("{key}", &key.display().to_string())
        };
        let mut words = line.split_whitespace();
        let program = words.next().context("exec: names no program")?;
        let mut command = Command::new(program);
        command.args(words.map(filled)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        if !line.contains("{listen}") {
            command.args(["--listen", &address.to_string()]);
        }
        // Ctrl-C on the terminal is for us alone: what it is being asked it still has to answer.
        command.process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        let mut started = Self { child, _files: files };
        let until = tokio::time::Instant::now() + READY;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = started.child.try_wait()? {
                anyhow::bail!("{program} ended with {status} before it listened on {address}");
            }
            anyhow::ensure!(
                tokio::time::Instant::now() < until,
                "{program} does not listen on {address} after {READY:?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // It is our own child, on the loopback interface: whatever certificate it shows.
        let endpoint = Endpoint::new(&format!("https://{address}"), &Trust::Anyone, timeout)?;
        Ok((started, endpoint))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
