//! `towtank replay`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use injector::Injector;
use injector::config::{Environment, Settings};

use super::ReplayArgs;
use super::output::Output;
use crate::boxed;
use crate::hook::Certificate;
use crate::https::{Endpoint, Trust};
use crate::replay::{Direct, Log, Options, Target, replay};
use crate::report::{Replayed, render};

pub(super) fn run(args: &ReplayArgs, output: &Output) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let replayed = runtime.block_on(replayed(args, output))?;
    if output.json {
        output.print_json(&replayed.json());
    } else {
        output.print(&render(&replayed, output.style));
    }
    Ok(replayed.is_ok())
}

pub(super) async fn replayed(args: &ReplayArgs, output: &Output) -> anyhow::Result<Replayed> {
    let logs: Vec<Log> = if args.logs.is_empty() {
        vec![boxed::LOG]
    } else {
        args.logs.iter().map(|path| Log::from_path(path)).collect()
    };
    if args.repeat > 1 && logs.iter().any(|log| matches!(log, Log::Stdin)) {
        anyhow::bail!("standard input cannot be replayed more than once: give a file, or leave --repeat out");
    }
    let timeout = Duration::from_secs_f64(args.timeout);
    // In-process servers live as long as this.
    let mut injector = None;
    let endpoint = match &args.webhook {
        Some(url) => Endpoint::new(url, &trust(args)?, timeout)?,
        None => {
            let (handle, certificate) = start_injector(args).await?;
            let url = format!("https://{}", handle.addr());
            injector = Some(handle);
            Endpoint::new(&url, &Trust::Pem(certificate.ca), timeout)?
        }
    };
    let target: Arc<dyn Target> = Arc::new(Direct::new(endpoint));

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

fn trust(args: &ReplayArgs) -> anyhow::Result<Trust> {
    match &args.ca {
        Some(file) => Ok(Trust::File(file.clone())),
        None if args.insecure_skip_verify => Ok(Trust::Anyone),
        None => anyhow::bail!(
            "whose certificate --webhook may show is not known: give --ca FILE, or --insecure-skip-verify"
        ),
    }
}

async fn start_injector(args: &ReplayArgs) -> anyhow::Result<(injector::serve::Handle, Certificate)> {
    let read = |path: &Path| std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    let config = match &args.injector {
        Some(path) => read(path)?,
        None => boxed::INJECTOR.to_owned(),
    };
    let settings = Settings {
        inject_config: config,
        values: args.values.as_deref().map(read).transpose()?,
        mesh_config: args.mesh_config.as_deref().map(read).transpose()?,
        environment: Environment::from_variables(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        ),
        ..Settings::default()
    };
    let name =
        args.injector.as_ref().map_or_else(|| "the ConfigMap in the box".into(), |path| path.display().to_string());
    let injector = Injector::load(settings).with_context(|| format!("cannot load {name}"))?;
    let certificate = Certificate::for_service("istio-system", "istiod")?;
    let tls = injector::serve::Tls::Pem { certificate: certificate.chain.clone(), key: certificate.key.clone() };
    let options = injector::serve::Options::new(injector::serve::Source::Fixed(Arc::new(injector)), tls);
    Ok((injector::serve::start(options).await?, certificate))
}
