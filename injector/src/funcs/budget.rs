//! What one rendering may cost, whatever its template does: time and memory are paid for from one purse.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use apimachinery::value::Value as Json;
use regex::Regex;

use crate::value::{MAX_OUTPUT, Value};

/// Units for all templates of one pod; a second or so, and some tens of megabytes. The templates of a large pod take a hundredth of it.
const UNITS: usize = 16_000_000;
/// A node of a template visited, a round of a loop.
const STEP: usize = 4;
/// A regular expression compiled.
const EXPRESSION: usize = 50_000;
/// Bytes of text that cost one unit.
const BYTES: usize = 16;
/// Lists within lists deeper than this are refused.
const MAX_DEPTH: usize = 64;

const SPENT: &str = "the template does too much: its loops and the values that it makes are beyond what any pod needs";

/// What is left, and the regular expressions compiled so far.
#[derive(Debug)]
pub struct Budget {
    left: Cell<usize>,
    expressions: RefCell<BTreeMap<String, Regex>>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: Cell::new(UNITS), expressions: RefCell::default() }
    }
}

impl Budget {
    fn spend(&self, units: usize) -> Result<(), String> {
        let left = self.left.get().checked_sub(units);
        self.left.set(left.unwrap_or(0));
        left.map(drop).ok_or_else(|| SPENT.to_owned())
    }

    /// One node or one round of a loop.
    pub(crate) fn step(&self) -> Result<(), String> {
        self.spend(STEP)
    }

    /// Pays for a value that is about to be worked on, and refuses one that is too deep to walk. Values that functions made
    /// are counted whole, views of the pod and of the values by their length.
    pub(crate) fn weigh(&self, value: &Value<'_>) -> Result<(), String> {
        self.weigh_at(value, 0)
    }

    fn weigh_at(&self, value: &Value<'_>, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("lists or dictionaries are nested more than {MAX_DEPTH} deep"));
        }
        match value {
            Value::List(items) => {
                self.spend(items.len() + 1)?;
                items.iter().try_for_each(|item| self.weigh_at(item, depth + 1))
            }
            Value::Map(map) => {
                let map = map.borrow();
                self.spend(2 * map.len() + 1)?;
                map.iter().try_for_each(|(key, item)| {
                    self.spend(key.len() / BYTES)?;
                    self.weigh_at(item, depth + 1)
                })
            }
            Value::String(text) => {
                fits(text.len())?;
                self.spend(text.len() / BYTES)
            }
            other => self.spend(other.len().unwrap_or(0) / BYTES),
        }
    }

    /// Pays for a walk over everything in a value, views included.
    pub(crate) fn weigh_whole(&self, value: &Value<'_>) -> Result<(), String> {
        match value {
            Value::Free(json) | Value::Struct(Some(json), _) => self.nodes(json),
            Value::Typed(items, _) => items.iter().try_for_each(|item| self.nodes(item)),
            _ => Ok(()),
        }
    }

    fn nodes(&self, json: &Json) -> Result<(), String> {
        match json {
            Json::Array(items) => {
                self.spend(items.len() + 1)?;
                items.iter().try_for_each(|item| self.nodes(item))
            }
            Json::Object(map) => {
                self.spend(2 * map.len() + 1)?;
                map.values().try_for_each(|item| self.nodes(item))
            }
            Json::String(text) => self.spend(text.len() / BYTES),
            _ => Ok(()),
        }
    }

    /// The regular expression, compiled once per rendering.
    pub(crate) fn expression(&self, pattern: &str) -> Result<Regex, String> {
        if let Some(known) = self.expressions.borrow().get(pattern) {
            return Ok(known.clone());
        }
        self.spend(EXPRESSION)?;
        let compiled = regex::RegexBuilder::new(pattern).size_limit(1 << 20).build();
        let compiled = compiled.map_err(|e| format!("invalid expression: {e}"))?;
        self.expressions.borrow_mut().insert(pattern.to_owned(), compiled.clone());
        Ok(compiled)
    }
}

/// Refuses a text that would become too long, before it is made.
pub(super) fn fits(bytes: usize) -> Result<(), String> {
    if bytes > MAX_OUTPUT {
        return Err(format!("a text of {bytes} bytes is longer than {MAX_OUTPUT}"));
    }
    Ok(())
}
