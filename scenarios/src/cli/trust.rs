//! `--ca` and `--insecure-skip-verify`, beside an argument with the id `webhook`.

use std::path::PathBuf;

use crate::https::Trust;

// Groups are named by their structs unless told otherwise, and no two may share a name.
#[derive(Debug, Default, clap::Args)]
#[group(id = "trust", multiple = true)]
pub(super) struct Args {
    /// PEM file of the authority that signed the webhook's certificate.
    #[arg(long, value_name = "FILE", requires = "webhook")]
    pub(super) ca: Option<PathBuf>,
    /// Believe any certificate of the webhook.
    #[arg(long, requires = "webhook", conflicts_with = "ca")]
    pub(super) insecure_skip_verify: bool,
}

impl Args {
    /// Whose certificates are believed.
    pub(super) fn trust(&self) -> anyhow::Result<Trust> {
        match &self.ca {
            Some(file) => Ok(Trust::File(file.clone())),
            None if self.insecure_skip_verify => Ok(Trust::Anyone),
            None => anyhow::bail!(
                "whose certificate the webhook may show is not known: give --ca FILE, or --insecure-skip-verify"
            ),
        }
    }
}
