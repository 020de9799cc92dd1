//! Laws that any mutating webhook should keep, held against one with captured reviews.
//!
//! ```text
//! records ──► cases (one of each shape first) ──► laws ──► Checked
//!                                                  │
//!                          webhook ◄── ask ◄───────┤
//!                                                  └──► shrink: the smallest object that breaks the law
//! ```
//!
//! A webhook author's own test:
//!
//! ```no_run
//! # async fn test() -> Result<(), Box<dyn std::error::Error>> {
//! use scenarios::check::Check;
//! use scenarios::https::{Endpoint, Trust};
//!
//! let trust = Trust::File("ca.pem".into());
//! let endpoint = Endpoint::new("https://localhost:8443/mutate", &trust, std::time::Duration::from_secs(30))?;
//! let checked = Check::new("my webhook", endpoint)
//!     .owns(["metadata.annotations[example.com/*]"])?
//!     .skip(["commutes"])?
//!     .run(scenarios::boxed::LOG.open()?)
//!     .await?;
//! assert!(checked.is_ok(), "{checked}");
//! # Ok(())
//! # }
//! ```

mod ask;
mod case;
mod change;
mod law;
mod laws;
mod owned;
mod result;
mod run;
mod save;
mod shrink;
#[cfg(test)]
mod tests;
mod text;

use std::collections::HashSet;
use std::sync::Arc;

use admission::capture;
use bytes::Bytes;
use tokio::time::Instant;

pub use law::About;
pub use owned::{ISTIO, Pattern, PatternError};
pub use result::{Checked, FORMAT_VERSION, Finding, LawResult, LawVerdict};
pub use save::{SaveError, save};
pub(crate) use shrink::is_sound;
pub use text::render;

use crate::https::{self, Endpoint};
use ask::Asker;
use case::Case;
use law::{Bench, Law};
use laws::LAWS;

/// Reviews that the laws are held against unless told otherwise.
pub const LIMIT: usize = 200;
/// Problems of a log that are named.
const PROBLEMS: usize = 20;

/// A webhook, and the laws to hold against it.
pub struct Check {
    name: String,
    endpoint: Endpoint,
    paths: fn(&str) -> &str,
    laws: Vec<&'static dyn Law>,
    owns: Vec<Pattern>,
    limit: usize,
    concurrency: usize,
    shrink: bool,
}

/// A law that does not exist.
#[derive(Debug, thiserror::Error)]
#[error("there is no law {name:?}; the laws are {}", all().iter().map(|law| law.name).collect::<Vec<_>>().join(", "))]
pub struct UnknownLaw {
    /// What was asked for.
    pub name: String,
}

/// All laws, in their order.
#[must_use]
pub fn all() -> Vec<&'static About> {
    LAWS.iter().map(|law| law.about()).collect()
}

impl Check {
    /// Every law, and nothing that belongs to the webhook. Reviews are posted to the URL's path, or to the recorded ones
    /// if the URL has none.
    #[must_use]
    pub fn new(name: &str, endpoint: Endpoint) -> Self {
        Self {
            name: name.to_owned(),
            endpoint,
            paths: |path| path,
            laws: LAWS.to_vec(),
            owns: Vec::new(),
            limit: LIMIT,
            concurrency: 8,
            shrink: true,
        }
    }

    /// The sidecar injector, which serves `/inject` whatever path was recorded.
    #[must_use]
    pub fn injector(name: &str, endpoint: Endpoint) -> Self {
        Self { paths: crate::replay::injector_path, ..Self::new(name, endpoint) }
    }

    /// Only these laws.
    ///
    /// # Errors
    /// One of them does not exist.
    pub fn only<T: AsRef<str>>(mut self, names: impl IntoIterator<Item = T>) -> Result<Self, UnknownLaw> {
        let names = known(names)?;
        self.laws.retain(|law| names.contains(law.about().name));
        Ok(self)
    }

    /// Not these laws.
    ///
    /// # Errors
    /// One of them does not exist.
    pub fn skip<T: AsRef<str>>(mut self, names: impl IntoIterator<Item = T>) -> Result<Self, UnknownLaw> {
        let names = known(names)?;
        self.laws.retain(|law| !names.contains(law.about().name));
        Ok(self)
    }

    /// These places belong to the webhook, too: it may change what the user wrote there.
    ///
    /// # Errors
    /// A pattern cannot be read.
    pub fn owns<T: AsRef<str>>(mut self, patterns: impl IntoIterator<Item = T>) -> Result<Self, PatternError> {
        for pattern in patterns {
            self.owns.push(pattern.as_ref().parse()?);
        }
        Ok(self)
    }

    /// Most reviews that the laws are held against; default [`LIMIT`].
    #[must_use]
    pub fn limit(mut self, reviews: usize) -> Self {
        self.limit = reviews.max(1);
        self
    }

    /// Reviews under way at once; default 8.
    #[must_use]
    pub fn concurrency(mut self, reviews: usize) -> Self {
        self.concurrency = reviews.max(1);
        self
    }

    /// Whether objects that break a law are made as small as they go; default true.
    #[must_use]
    pub fn shrink(mut self, shrink: bool) -> Self {
        self.shrink = shrink;
        self
    }

    /// How many laws there are to hold.
    #[must_use]
    pub fn laws(&self) -> usize {
        self.laws.len()
    }

    /// Holds the laws against the webhook, with these records (as a [`capture::Reader`] yields them).
    ///
    /// # Errors
    /// The webhook cannot be reached at all. Whatever else goes wrong breaks a law.
    pub async fn run(
        self,
        records: impl IntoIterator<Item = Result<capture::Record, capture::Error>>,
    ) -> Result<Checked, https::Error> {
        self.run_with_progress(records, |_| ()).await
    }

    /// As [`Check::run`]; `progress` is told how many laws are done.
    ///
    /// # Errors
    /// As [`Check::run`].
    pub async fn run_with_progress(
        self,
        records: impl IntoIterator<Item = Result<capture::Record, capture::Error>>,
        progress: impl Fn(u64),
    ) -> Result<Checked, https::Error> {
        let begun = Instant::now();
        let mut checked = Checked { format_version: FORMAT_VERSION, webhook: self.name.clone(), ..Checked::default() };
        let cases = choose(records, self.limit, &mut checked);
        checked.reviews = cases.len() as u64;
        let bench = Arc::new(Bench { ask: Asker::new(self.endpoint, self.paths), owns: self.owns });
        if let Some(case) = cases.first() {
            // Nothing listens, or nobody who is believed: that is no law's business.
            let body = Bytes::from(case.again().to_string());
            let asked = bench.ask.post(case, Some("application/json"), body).await;
            if let Err(error @ (https::Error::Connect { .. } | https::Error::Tls { .. })) = asked {
                return Err(error);
            }
            for (number, law) in self.laws.iter().enumerate() {
                let seed = number as u64;
                let settings = run::Settings { concurrency: self.concurrency, shrink: self.shrink, seed };
                checked.laws.push(run::hold(*law, &bench, &cases, &settings).await);
                progress(seed + 1);
            }
        }
        checked.calls = bench.ask.calls();
        checked.latency = bench.ask.latency();
        checked.seconds = begun.elapsed().as_secs_f64();
        Ok(checked)
    }
}

fn known<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Result<HashSet<&'static str>, UnknownLaw> {
    names
        .into_iter()
        .map(|name| {
            let law = all().into_iter().find(|law| law.name == name.as_ref());
            law.map(|law| law.name).ok_or_else(|| UnknownLaw { name: name.as_ref().to_owned() })
        })
        .collect()
}

/// One review of each shape, as many as there may be; then others. Memory is bounded by the limit.
fn choose(
    records: impl IntoIterator<Item = Result<capture::Record, capture::Error>>,
    limit: usize,
    checked: &mut Checked,
) -> Vec<Arc<Case>> {
    let (mut first, mut others, mut shapes) = (Vec::new(), Vec::new(), HashSet::new());
    for record in records {
        checked.read += 1;
        let problem = match record {
            Ok(record) => match Case::of(&record) {
                Some(case) if first.len() < limit && shapes.insert(case.shape()) => {
                    first.push(Arc::new(case));
                    continue;
                }
                Some(case) => {
                    if others.len() < limit {
                        others.push(Arc::new(case));
                    }
                    continue;
                }
                None => match record.review() {
                    Err(error) => format!("record {}: {error}", checked.read),
                    Ok(_) => format!("record {}: no review", checked.read),
                },
            },
            Err(error) => error.to_string(),
        };
        checked.unreadable += 1;
        if checked.problems.len() < PROBLEMS {
            checked.problems.push(problem);
        }
    }
    others.truncate(limit - first.len());
    first.append(&mut others);
    first
}
