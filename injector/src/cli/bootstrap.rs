//! `sidecar-injector bootstrap`: the file that an agent starts its Envoy with.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use apimachinery::yaml;
use clap::{Args, ValueEnum};

use super::{input, variables};

/// The flags of `bootstrap`. Variables `ISTIO_META_x` and `ISTIO_METAJSON_x` become metadata of the node.
#[derive(Args, Debug)]
pub(super) struct Bootstrap {
    /// The release whose bootstrap is meant
    #[arg(long, value_enum)]
    era: Era,
    /// The ProxyConfig (YAML or JSON), laid over the era's defaults
    #[arg(long, value_name = "FILE")]
    proxy_config: PathBuf,
    /// The node's id, such as sidecar~10.0.0.1~web.shop~shop.svc.cluster.local
    #[arg(long, value_name = "ID")]
    node_id: String,
    /// The name that Pilot's certificate has to have
    #[arg(long, value_name = "URI", default_value = "")]
    pilot_san: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Era {
    #[value(name = "1.0")]
    V1_0,
}

impl Bootstrap {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Era::V1_0 = self.era;
        let file = self.proxy_config.display();
        let config = yaml::parse(&input::text(&self.proxy_config)?)
            .map_err(|error| anyhow::anyhow!("{file}: line {}: not YAML: {error}", error.line))?;
        let bootstrap = crate::bootstrap_1_0(&config, &self.node_id, &self.pilot_san, &variables().collect())
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("{file}: no bootstrap comes of it"))?;
        input::print(&format!("{bootstrap:#}\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}
