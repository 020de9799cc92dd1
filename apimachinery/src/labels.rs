//! Label selectors: the structured form of `metav1.LabelSelector` and the text form of `?labelSelector=`.
//!
//! Both become a [`Selector`], a list of requirements that must all hold. Error texts are the apiserver's own.

mod name;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::value::{Map, Value};

pub use name::{check_key, check_value};

/// A conjunction of requirements; without any it matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    requirements: Vec<Requirement>,
}

/// One requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Equals(String),
    NotEquals(String),
    Exists,
    DoesNotExist,
    GreaterThan(i64),
    LessThan(i64),
}

/// Why a selector was refused; `Display` is the apiserver's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub(crate) String);

impl Selector {
    /// Matches every object.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Reads a `metav1.LabelSelector` (`matchLabels`, `matchExpressions`). Null and `{}` match everything; what a null
    /// selector means to its owner (nothing, for a Service) is the owner's affair. Keys and values are checked.
    ///
    /// # Errors
    /// An unknown operator, values where there must be none or none where there must be some, a key or value that no
    /// label can have, or a member of the wrong type.
    pub fn from_label_selector(selector: &Value) -> Result<Self, Error> {
        let members = match selector {
            Value::Null => return Ok(Self::default()),
            Value::Object(members) => members,
            other => return Err(Error(format!("a label selector must be an object, not {other}"))),
        };
        let mut requirements = Vec::new();
        match members.get("matchLabels") {
            None | Some(Value::Null) => {}
            Some(Value::Object(labels)) => {
                for (key, value) in labels {
                    let Value::String(value) = value else {
                        return Err(Error(format!(
                            "matchLabels[{key}]: a label's value must be a string, not {value}"
                        )));
                    };
                    requirements.push(Requirement::new(key, "Equals", vec![value.to_string()])?);
                }
            }
            Some(other) => return Err(Error(format!("matchLabels must be an object, not {other}"))),
        }
        match members.get("matchExpressions") {
            None | Some(Value::Null) => {}
            Some(Value::Array(expressions)) => {
                for expression in expressions {
                    let key = expression.get("key").and_then(Value::as_str).unwrap_or_default();
                    let operator = expression.get("operator").and_then(Value::as_str).unwrap_or_default();
                    let values = match expression.get("values") {
                        None | Some(Value::Null) => Vec::new(),
                        Some(Value::Array(values)) => values
                            .iter()
                            .map(|v| v.as_str().map(str::to_owned))
                            .collect::<Option<_>>()
                            .ok_or_else(|| Error(format!("values of {key} must be strings")))?,
                        Some(other) => return Err(Error(format!("values of {key} must be a list, not {other}"))),
                    };
                    if !matches!(operator, "In" | "NotIn" | "Exists" | "DoesNotExist") {
                        return Err(Error(format!("\"{operator}\" is not a valid label selector operator")));
                    }
                    requirements.push(Requirement::new(key, operator, values)?);
                }
            }
            Some(other) => return Err(Error(format!("matchExpressions must be a list, not {other}"))),
        }
        Ok(Self { requirements })
    }

    /// Reads the text form: `app=web,tier!=db,env in (a,b),!legacy,size>3`. The empty text matches everything.
    ///
    /// # Errors
    /// The texts of vectors `api-basics/list-label-bad*`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        parse::parse(text).map(|requirements| Self { requirements })
    }

    /// Whether there is no requirement, so that everything matches.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether an object with these `metadata.labels` matches. A label whose value is not a string counts as absent.
    pub fn matches(&self, labels: &Map) -> bool {
        self.matches_fn(|key| labels.get(key).and_then(Value::as_str))
    }

    /// The same with a look-up of the caller's.
    pub fn matches_fn<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.first_mismatch(label).is_none()
    }

    /// The first requirement that does not hold, as text (`app in (web)`), for explanations.
    pub fn first_mismatch<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
        self.requirements.iter().find(|r| !r.test.holds(label(&r.key))).map(ToString::to_string)
    }
}

impl Requirement {
    fn new(key: &str, operator: &str, values: Vec<String>) -> Result<Self, Error> {
        let refuse = |path: &str, value: &dyn fmt::Debug, why: &str| {
            Err(Error(format!("{path}: Invalid value: {value:?}: {why}")))
        };
        if let Err(why) = check_key(key) {
            return refuse("key", &key, &why);
        }
        let number = |values: &[String]| -> Result<i64, Error> {
            let [value] = values else {
                return Err(Error(format!(
                    "values: Invalid value: {values:?}: for 'Gt', 'Lt' operators, exactly one value is required"
                )));
            };
            value.parse().map_err(|_| {
                Error(format!(
                    "values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
                ))
            })
        };
        let test = match operator {
            "In" | "NotIn" if values.is_empty() => {
                return Err(Error(
                    "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty".into(),
                ));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                return refuse("values", &values, "values set must be empty for exists and does not exist");
            }
            "Exists" => Test::Exists,
            "DoesNotExist" => Test::DoesNotExist,
            "Gt" => Test::GreaterThan(number(&values)?),
            "Lt" => Test::LessThan(number(&values)?),
            _ => {
                for (at, value) in values.iter().enumerate() {
                    if let Err(why) = check_value(value) {
                        return refuse(&format!("values[{at}][{key}]"), value, &why);
                    }
                }
                match operator {
                    "In" => Test::In(values),
                    "NotIn" => Test::NotIn(values),
                    "NotEquals" => Test::NotEquals(values.into_iter().next().unwrap_or_default()),
                    _ => Test::Equals(values.into_iter().next().unwrap_or_default()),
                }
            }
        };
        Ok(Self { key: key.to_owned(), test })
    }
}

impl Test {
    fn holds(&self, found: Option<&str>) -> bool {
        match self {
            Test::In(values) => found.is_some_and(|f| values.iter().any(|v| v == f)),
            Test::NotIn(values) => found.is_none_or(|f| values.iter().all(|v| v != f)),
            Test::Equals(value) => found == Some(value),
            Test::NotEquals(value) => found != Some(value),
            Test::Exists => found.is_some(),
            Test::DoesNotExist => found.is_none(),
            Test::GreaterThan(bound) => found.and_then(|f| f.parse::<i64>().ok()).is_some_and(|f| f > *bound),
            Test::LessThan(bound) => found.and_then(|f| f.parse::<i64>().ok()).is_some_and(|f| f < *bound),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match &self.test {
            Test::In(values) => write!(f, "{key} in ({})", values.join(",")),
            Test::NotIn(values) => write!(f, "{key} notin ({})", values.join(",")),
            Test::Equals(value) => write!(f, "{key}={value}"),
            Test::NotEquals(value) => write!(f, "{key}!={value}"),
            Test::Exists => f.write_str(key),
            Test::DoesNotExist => write!(f, "!{key}"),
            Test::GreaterThan(bound) => write!(f, "{key}>{bound}"),
            Test::LessThan(bound) => write!(f, "{key}<{bound}"),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, requirement) in self.requirements.iter().enumerate() {
            write!(f, "{}{requirement}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}
