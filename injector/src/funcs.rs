//! The functions that templates may call: one table for all of Istio's releases.
//!
//! Go's builtins, the pure functions of sprig v3, and Istio's own, which shadow sprig's of the same name (`indent`,
//! `contains`, `env`, `omit`). Older releases had fewer of them under the same names and meanings, so the union serves every era.
//! Functions that need chance, a clock, the network or keys are left out; [`left_out`] says why.

mod budget;
mod builtin;
mod collections;
mod encoding;
mod istio;
mod math;
mod otel;
mod semver;
mod text;

use std::collections::BTreeMap;
use std::sync::LazyLock;

pub use budget::Budget;
pub(crate) use encoding::go_duration;

use crate::value::Value;

/// What functions may know beside their arguments.
#[derive(Clone, Copy)]
pub struct Context<'c> {
    /// The injector's environment variables, for Istio's `env`.
    pub environment: &'c BTreeMap<String, String>,
    /// Renders a template text over the same data, for `render` of Istio 1.3 to 1.8.
    pub render: Option<&'c dyn Fn(&str) -> String>,
    /// What all templates of one pod may cost together.
    pub budget: &'c Budget,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

/// A function's code; the error says what is wrong without naming the function.
pub type Code = for<'a> fn(&Context<'_>, &[Value<'a>]) -> Result<Value<'a>, String>;

/// How a function is called.
#[derive(Debug, Clone, Copy)]
pub enum Body {
    /// Arguments first, then the code.
    Plain(Code),
    /// Go's `and`: stops at the first false argument.
    And,
    /// Go's `or`: stops at the first true argument.
    Or,
}

/// One row of the table.
#[derive(Debug)]
pub struct Function {
    /// The name in templates.
    pub name: &'static str,
    /// The fewest arguments.
    pub min: usize,
    /// The most arguments; `usize::MAX` for any number.
    pub max: usize,
    /// What it does.
    pub body: Body,
}

impl Function {
    const fn new(name: &'static str, min: usize, max: usize, code: Code) -> Self {
        Self { name, min, max, body: Body::Plain(code) }
    }
}

/// No upper bound on arguments.
const MANY: usize = usize::MAX;

/// Later tables shadow earlier ones.
static TABLE: LazyLock<BTreeMap<&'static str, &'static Function>> = LazyLock::new(|| {
    [builtin::TABLE, text::TABLE, collections::TABLE, math::TABLE, encoding::TABLE, semver::TABLE, istio::TABLE]
        .into_iter()
        .flatten()
        .map(|f| (f.name, f))
        .collect()
});

/// The function of this name.
pub fn find(name: &str) -> Option<&'static Function> {
    TABLE.get(name).copied()
}

/// All names, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.keys().copied()
}

/// Why a function that sprig has is not in the table.
pub fn left_out(name: &str) -> Option<&'static str> {
    const CHANCE: &str = "left out: its result differs from call to call";
    const CLOCK: &str = "left out: it reads the clock, so the same pod would get different answers";
    const KEYS: &str = "left out: it makes or uses keys, which do not belong into a pod template";
    const NETWORK: &str = "left out: it asks the network";
    Some(match name {
        "randAlpha" | "randAlphaNum" | "randAscii" | "randBytes" | "randInt" | "randNumeric" | "shuffle" | "uuidv4" => {
            CHANCE
        }
        "now" | "ago" | "date" | "dateInZone" | "dateModify" | "date_in_zone" | "date_modify" | "htmlDate"
        | "htmlDateInZone" | "mustDateModify" | "must_date_modify" | "mustToDate" | "toDate" | "unixEpoch" => CLOCK,
        "bcrypt"
        | "htpasswd"
        | "derivePassword"
        | "encryptAES"
        | "decryptAES"
        | "genCA"
        | "genCAWithKey"
        | "genPrivateKey"
        | "genSelfSignedCert"
        | "genSelfSignedCertWithKey"
        | "genSignedCert"
        | "genSignedCertWithKey"
        | "buildCustomCert" => KEYS,
        "getHostByName" => NETWORK,
        "sha1sum" => "left out: SHA-1 is broken; sha256sum is there",
        "durationRound" => "left out: it measures from the clock; duration is there",
        "expandenv" => "left out: it would print the injector's environment into pods",
        _ => return None,
    })
}

/// The text of an argument that Go declares as `string`.
fn string<'v>(args: &'v [Value<'_>], n: usize) -> Result<&'v str, String> {
    match args.get(n) {
        Some(Value::String(s)) => Ok(s),
        Some(other) => Err(format!("argument {} is a {}, expected a string", n + 1, other.type_name())),
        None => Err(format!("argument {} is missing", n + 1)),
    }
}

/// An argument that Go declares as `int`.
fn int(args: &[Value<'_>], n: usize) -> Result<i64, String> {
    match args.get(n) {
        Some(Value::Int(i)) => Ok(*i),
        Some(other) => Err(format!("argument {} is a {}, expected an integer", n + 1, other.type_name())),
        None => Err(format!("argument {} is missing", n + 1)),
    }
}

/// An argument of any type; nil if it is missing.
fn any<'a>(args: &[Value<'a>], n: usize) -> Value<'a> {
    args.get(n).cloned().unwrap_or(Value::Nil)
}

/// A list argument.
fn list<'a>(args: &[Value<'a>], n: usize) -> Result<Vec<Value<'a>>, String> {
    let value = any(args, n);
    value.elements().ok_or_else(|| format!("argument {} is a {}, expected a list", n + 1, value.type_name()))
}

/// A map argument's entries; nil is an empty map.
fn map<'a>(args: &[Value<'a>], n: usize) -> Result<BTreeMap<String, Value<'a>>, String> {
    match any(args, n) {
        Value::Nil => Ok(BTreeMap::new()),
        value => {
            value.entries().ok_or_else(|| format!("argument {} is a {}, expected a map", n + 1, value.type_name()))
        }
    }
}

/// Sprig's notion of an empty value: zero, false, nil, or without items.
fn empty(value: &Value<'_>) -> bool {
    match value {
        Value::Struct(Some(_), _) | Value::Fields(_) | Value::Enum(_) => false,
        other => !crate::value::truth(other),
    }
}

/// Sprig's way to a string for any value: strings as they are, the rest as `%v`.
fn strval(value: &Value<'_>) -> String {
    crate::value::format::sprint(value)
}

#[cfg(test)]
mod tests;
