//! The text of a fault.

use std::str::FromStr;
use std::time::Duration;

use super::{Effect, Fault, Target};
use crate::time::go_duration;

/// Why a text is no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultError {
    /// It does not begin with what it is about.
    #[error("fault {0:?}: begin with webhook=NAME or api")]
    Target(String),
    /// A part that there is not, or not for this target.
    #[error("fault {fault:?}: {part:?} is not known here; known are {known}")]
    Part {
        /// The whole text.
        fault: String,
        /// The part.
        part: String,
        /// What may be said.
        known: &'static str,
    },
    /// A part with a value that makes no sense.
    #[error("fault {fault:?}: {part}: {value:?} is not {expected}")]
    Value {
        /// The whole text.
        fault: String,
        /// The part's name.
        part: String,
        /// Its value.
        value: String,
        /// What would make sense.
        expected: &'static str,
    },
    /// Nothing goes wrong by it.
    #[error("fault {0:?}: say what goes wrong: delay=DURATION, status=CODE, or for webhooks refuse or reset")]
    NoEffect(String),
    /// Two things that exclude each other.
    #[error("fault {0:?}: only one of refuse, reset and status can happen")]
    Conflict(String),
    /// Something is waited for that nobody says.
    #[error("fault {0:?}: retry-after belongs to status=CODE")]
    RetryAfter(String),
}

const OF_WEBHOOKS: &str = "delay, refuse, reset, status, after, for, times, probability";
const OF_THE_API: &str =
    "verb, group, resource, namespace, name, user, delay, status, retry-after, after, for, times, probability";
/// What narrows requests to the API, in the order in which they are matched.
const FIELDS: [&str; 6] = ["verb", "group", "resource", "namespace", "name", "user"];

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Fault, FaultError> {
        let mut parts = text.split(',').map(str::trim);
        let target = match parts.next().unwrap_or_default() {
            "api" => Target::Api(Default::default()),
            first => match first.strip_prefix("webhook=") {
                Some(name) if !name.is_empty() => Target::Webhook(name.to_owned()),
                _ => return Err(FaultError::Target(text.to_owned())),
            },
        };
        let mut parsing = Parsing { text, target, effect: None, retry_after: None, fault: Fault::nothing() };
        for part in parts {
            parsing.part(part)?;
        }
        parsing.finish()
    }
}

impl Fault {
    fn nothing() -> Fault {
        Fault {
            target: Target::Webhook(String::new()),
            effect: Effect::Slow,
            delay: Duration::ZERO,
            after: Duration::ZERO,
            length: None,
            times: None,
            probability: None,
        }
    }
}

struct Parsing<'a> {
    text: &'a str,
    target: Target,
    effect: Option<Effect>,
    retry_after: Option<u64>,
    fault: Fault,
}

impl Parsing<'_> {
    fn part(&mut self, part: &str) -> Result<(), FaultError> {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let bad = |expected| FaultError::Value {
            fault: self.text.to_owned(),
            part: name.to_owned(),
            value: value.to_owned(),
            expected,
        };
        let duration = || go_duration(value).ok_or_else(|| bad("a duration such as 500ms, 5s or 1m30s"));
        let whole = || value.parse::<u64>().map_err(|_| bad("a whole number"));
        match name {
            "delay" => self.fault.delay = duration()?,
            "after" => self.fault.after = duration()?,
            "for" => self.fault.length = Some(duration()?),
            "times" => self.fault.times = Some(whole()?),
            "probability" => {
                let chance = value.parse().ok().filter(|chance| (0.0..=1.0).contains(chance));
                self.fault.probability = Some(chance.ok_or_else(|| bad("a number from 0 to 1"))?);
            }
            "status" => {
                let code = value.parse().ok().filter(|code| (400..600).contains(code));
                let code = code.ok_or_else(|| bad("an HTTP status from 400 to 599"))?;
                self.set(Effect::Status { code, retry_after: None })?;
            }
            _ => return self.particular(part, name, value),
        }
        Ok(())
    }

    /// Parts that only one target has.
    fn particular(&mut self, part: &str, name: &str, value: &str) -> Result<(), FaultError> {
        let unknown = |known| FaultError::Part { fault: self.text.to_owned(), part: part.to_owned(), known };
        match &mut self.target {
            Target::Webhook(_) => match part {
                "refuse" => self.set(Effect::Refuse),
                "reset" => self.set(Effect::Reset),
                _ => Err(unknown(OF_WEBHOOKS)),
            },
            Target::Api(fields) => {
                if let Some(index) = FIELDS.iter().position(|field| *field == name) {
                    fields[index] = Some(value.to_owned());
                    return Ok(());
                }
                if name != "retry-after" {
                    return Err(unknown(OF_THE_API));
                }
                let seconds = value.parse().map_err(|_| FaultError::Value {
                    fault: self.text.to_owned(),
                    part: name.to_owned(),
                    value: value.to_owned(),
                    expected: "a whole number of seconds",
                })?;
                self.retry_after = Some(seconds);
                Ok(())
            }
        }
    }

    fn set(&mut self, effect: Effect) -> Result<(), FaultError> {
        match self.effect.replace(effect) {
            None => Ok(()),
            Some(_) => Err(FaultError::Conflict(self.text.to_owned())),
        }
    }

    fn finish(mut self) -> Result<Fault, FaultError> {
        let text = || self.text.to_owned();
        self.fault.effect = match self.effect {
            Some(Effect::Status { code, .. }) => Effect::Status { code, retry_after: self.retry_after },
            _ if self.retry_after.is_some() => return Err(FaultError::RetryAfter(text())),
            Some(effect) => effect,
            None if self.fault.delay.is_zero() => return Err(FaultError::NoEffect(text())),
            None => Effect::Slow,
        };
        self.fault.target = self.target;
        Ok(self.fault)
    }
}
