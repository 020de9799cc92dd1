//! Is sidecar injection well in a cluster, and if not, why: what one would look at with a dozen kubectl commands.
//!
//! ```text
//! examine ──► webhooks   configurations: rules, policies, authorities, overlaps
//!    ├──────► backend    the services behind them, their endpoints and pods
//!    ├──────► config     the injector's ConfigMaps
//!    ├──────► pods       labels of namespaces; pods that have no sidecar and would get one now
//!    └──────► trial      a pod that is created with dryRun, and what events say of pods that were refused
//! ```
//!
//! Nothing is changed: all requests read, but for one that creates a pod with `dryRun=All`.

mod backend;
mod config;
mod finding;
mod pods;
mod survey;
#[cfg(test)]
mod tests;
mod trial;
mod webhooks;

use apimachinery::clock::Timestamp;

use crate::cluster::Api;
use finding::Findings;
pub use finding::{Finding, Level};
use survey::Survey;

/// What to look at.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where a pod is tried; the first namespace that has injection if `None`.
    pub namespace: Option<String>,
    /// By which certificates are judged.
    pub now: Timestamp,
}

/// Looks a cluster through. What stands in the way of looking further comes last and is a problem.
pub async fn examine(api: &dyn Api, options: &Options) -> Vec<Finding> {
    let mut findings = Findings::default();
    let Some(survey) = Survey::take(api, &mut findings).await else { return findings.0 };
    webhooks::check(&survey, options.now, &mut findings);
    for service in survey.services() {
        backend::check(api, &service, &mut findings).await;
    }
    let injectors = config::check(api, &survey, &mut findings).await;
    pods::labels(&survey, &mut findings);
    pods::check(api, &survey, &injectors, &mut findings).await;
    trial::check(api, &survey, options.namespace.as_deref(), &mut findings).await;
    trial::events(api, &mut findings).await;
    findings.0
}
