//! `towtank replay`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use injector::Injector;
use injector::boxed::{Boxed, MODERN};
use injector::config::{Environment, Settings};

use super::ReplayArgs;
use super::output::Output;
use crate::boxed;
use crate::cluster::{Fake, Setup};
use crate::hook::Certificate;
use crate::https::{Endpoint, Trust};
use crate::replay::Replayed;
use crate::replay::{Admission, Direct, Log, Meta, Options, Place, Target, replay};

/// The service that the injector in this process has a certificate for when none is called for.
const INJECTOR: (&str, &str) = ("istio-system", "istiod");

pub(super) fn run(args: &ReplayArgs, output: &Output) -> anyhow::Result<Replayed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(replayed(args, output))
}

async fn replayed(args: &ReplayArgs, output: &Output) -> anyhow::Result<Replayed> {
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

async fn direct(args: &ReplayArgs) -> anyhow::Result<(Arc<dyn Target>, Option<injector::serve::Handle>)> {
    let timeout = Duration::from_secs_f64(args.timeout);
    if let Some(url) = &args.webhook {
        let endpoint = Endpoint::new(url, &trust(args)?, timeout)?;
        return Ok((Arc::new(Direct::new(endpoint)), None));
    }
    let (handle, certificate) = start_injector(args, &[]).await?;
    let endpoint = Endpoint::new(&format!("https://{}", handle.addr()), &Trust::Pem(certificate.ca), timeout)?;
    Ok((Arc::new(Direct::injector(endpoint)), Some(handle)))
}

async fn through_apiserver(
    args: &ReplayArgs,
    logs: &[Log],
) -> anyhow::Result<(Arc<dyn Target>, Option<injector::serve::Handle>)> {
    let mut meta = meta(args, logs)?;
    let mut setup = Setup::default();
    let mut injector = None;
    if let Some(url) = &args.webhook {
        let ca = match trust(args)? {
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
        let (handle, certificate) = start_injector(args, &services).await?;
        let address: SocketAddr = handle.addr();
        setup.services = services.into_iter().map(|service| (service, address)).collect();
        meta.redirect(&Place::Local(address, certificate.ca));
        injector = Some(handle);
    }
    let api = Fake::start(setup).await?;
    Ok((Arc::new(Admission::new(Box::new(api), &meta).await?), injector))
}

/// What surrounds the logs: the file that was named, those beside the logs, or a guess from the first record.
fn meta(args: &ReplayArgs, logs: &[Log]) -> anyhow::Result<Meta> {
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

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn trust(args: &ReplayArgs) -> anyhow::Result<Trust> {
    match &args.ca {
        Some(file) => Ok(Trust::File(file.clone())),
        None if args.insecure_skip_verify => Ok(Trust::Anyone),
        None => anyhow::bail!(
            "whose certificate --webhook may show is not known: give --ca FILE, or --insecure-skip-verify"
        ),
    }
}

/// Starts the injector's server on a free port of the loopback interface, with a certificate for these services.
async fn start_injector(
    args: &ReplayArgs,
    services: &[(String, String, u16)],
) -> anyhow::Result<(injector::serve::Handle, Certificate)> {
    let (name, mut settings) = match &args.injector {
        None => ("the injector configuration in the box".to_owned(), MODERN.settings()),
        Some(path) => match path.to_str().filter(|_| !path.exists()).and_then(Boxed::named) {
            Some(boxed) => (format!("the configuration {:?} in the box", boxed.name), boxed.settings()),
            None => (path.display().to_string(), Settings { inject_config: read(path)?, ..Settings::default() }),
        },
    };
    if let Some(path) = &args.values {
        settings.values = Some(read(path)?);
    }
    if let Some(path) = &args.mesh_config {
        settings.mesh_config = Some(read(path)?);
    }
    settings.environment = Environment::from_variables(
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    );
    let injector = Injector::load(settings).with_context(|| format!("cannot load {name}"))?;
    let certificate = Certificate::for_services(
        services.iter().map(|(namespace, name, _)| (namespace.as_str(), name.as_str())).chain([INJECTOR]),
    )?;
    let tls = injector::serve::Tls::Pem { certificate: certificate.chain.clone(), key: certificate.key.clone() };
    let options = injector::serve::Options::new(injector::serve::Source::Fixed(Arc::new(injector)), tls);
    Ok((injector::serve::start(options).await?, certificate))
}
