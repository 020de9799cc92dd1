//! `--injector`, `--values` and `--mesh-config`: the sidecar injector in this process, beside an argument with the id
//! `webhook`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use injector::Injector;
use injector::boxed::{Boxed, MODERN};
use injector::config::{Environment, Settings};

use super::read;
use crate::hook::Certificate;

/// The service that the injector in this process has a certificate for when none is called for.
const SERVICE: (&str, &str) = ("istio-system", "istiod");

// Groups are named by their structs unless told otherwise, and no two may share a name.
#[derive(Debug, Default, clap::Args)]
#[group(id = "injector-configuration", multiple = true)]
pub(super) struct Args {
    /// The injector's ConfigMap (or its `config` text), or one in the box: modern (the default) or 1.0.
    #[arg(long, value_name = "CONFIGMAP", conflicts_with = "webhook")]
    pub(super) injector: Option<PathBuf>,
    /// The injector's values, if they are not in the ConfigMap.
    #[arg(long, value_name = "FILE", conflicts_with = "webhook")]
    pub(super) values: Option<PathBuf>,
    /// The mesh configuration.
    #[arg(long, value_name = "FILE", conflicts_with = "webhook")]
    pub(super) mesh_config: Option<PathBuf>,
}

impl Args {
    /// Loads the injector, and says what it was loaded from.
    pub(super) fn load(&self) -> anyhow::Result<Injector> {
        let (name, mut settings) = match &self.injector {
            None => ("the injector configuration in the box".to_owned(), MODERN.settings()),
            Some(path) => match path.to_str().filter(|_| !path.exists()).and_then(Boxed::named) {
                Some(boxed) => (format!("the configuration {:?} in the box", boxed.name), boxed.settings()),
                None => (path.display().to_string(), Settings { inject_config: read(path)?, ..Settings::default() }),
            },
        };
        if let Some(path) = &self.values {
            settings.values = Some(read(path)?);
        }
        if let Some(path) = &self.mesh_config {
            settings.mesh_config = Some(read(path)?);
        }
        settings.environment = Environment::from_variables(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        );
        Injector::load(settings).with_context(|| format!("cannot load {name}"))
    }

    /// Starts the injector's server on a free port of the loopback interface, with a certificate for these services
    /// (namespace, name, port) and for 127.0.0.1.
    pub(super) async fn start(
        &self,
        services: &[(String, String, u16)],
    ) -> anyhow::Result<(injector::serve::Handle, Certificate)> {
        let injector = self.load()?;
        let certificate = certificate(services)?;
        let tls = injector::serve::Tls::Pem { certificate: certificate.chain.clone(), key: certificate.key.clone() };
        let options = injector::serve::Options::new(injector::serve::Source::Fixed(Arc::new(injector)), tls);
        Ok((injector::serve::start(options).await?, certificate))
    }
}

fn certificate(services: &[(String, String, u16)]) -> anyhow::Result<Certificate> {
    let services = services.iter().map(|(namespace, name, _)| (namespace.as_str(), name.as_str()));
    Ok(Certificate::for_services(services.chain([SERVICE]))?)
}
