//! Flags as `pilot-agent` takes them: `--name=value`, `--name value`, `-n value`, `--switch`; or by environment.

use std::collections::BTreeMap;

use super::modern::{FLAGS, SWITCHES};

/// The flags with their values, defaults included.
#[derive(Debug)]
pub(super) struct Flags(BTreeMap<&'static str, String>);

impl Flags {
    /// Reads arguments over variables over defaults; `None` if help is asked for.
    pub(super) fn read(arguments: &[String], environment: &BTreeMap<String, String>) -> Result<Option<Self>, String> {
        let mut values = BTreeMap::new();
        let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty());
        for (_, name, env, default) in FLAGS {
            values.insert(*name, variable(env).cloned().unwrap_or_else(|| (*default).to_owned()));
        }
        for (_, name, env) in SWITCHES {
            let value = variable(env).map_or("false", String::as_str);
            values.insert(*name, switched(name, value)?.to_string());
        }
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if argument == "-h" || argument == "--help" {
                return Ok(None);
            }
            let unknown = || format!("{argument}: there is no such flag; see --help");
            let (flag, joined) = match argument.split_once('=') {
                Some((flag, value)) => (flag, Some(value)),
                None => (argument.as_str(), None),
            };
            let is = |letter: Option<char>, name: &str| match flag.strip_prefix("--") {
                Some(long) => long == name,
                None => letter.is_some_and(|letter| flag.strip_prefix('-') == Some(letter.to_string().as_str())),
            };
            if let Some((_, name, ..)) = FLAGS.iter().find(|(letter, name, ..)| is(*letter, name)) {
                let value = joined.or_else(|| rest.next().map(String::as_str));
                values.insert(name, value.ok_or_else(|| format!("{flag} needs a value"))?.to_owned());
            } else {
                let switch = SWITCHES.iter().find(|(letter, name, _)| is(*letter, name));
                let (_, name, _) = switch.ok_or_else(unknown)?;
                values.insert(name, switched(name, joined.unwrap_or("true"))?.to_string());
            }
        }
        Ok(Some(Self(values)))
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub(super) fn is_on(&self, name: &str) -> bool {
        self.text(name) == "true"
    }

    /// A comma-separated list; empty items are none.
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        self.text(name).split(',').filter(|item| !item.is_empty()).collect()
    }
}

fn switched(name: &str, value: &str) -> Result<bool, String> {
    crate::pod::parse_bool(value).ok_or_else(|| format!("--{name}: {value:?} is neither true nor false"))
}
