//! Reading fields out of a value, with errors that say where and what to do.

use apimachinery::value::{Map, Value};

use super::position::{Lines, child};

/// What is wrong with a scenario file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file, or one that it names, cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// The file.
        file: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not YAML.
    #[error("{file}:{line}: not YAML: {message}")]
    Yaml {
        /// The file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// What the parser said.
        message: String,
    },
    /// A field is missing, unknown or has a wrong value.
    #[error("{file}:{line}: {field}: {message}")]
    Field {
        /// The file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// The field, such as `steps[2].expect.status`.
        field: String,
        /// What is wrong with it, and what would be right.
        message: String,
    },
}

/// A file under reading.
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) lines: &'a Lines,
}

/// A value at a place in the file.
#[derive(Clone)]
pub(super) struct At<'a> {
    source: &'a Source<'a>,
    pointer: String,
    pub(super) value: &'a Value,
}

impl<'a> At<'a> {
    pub(super) const fn root(source: &'a Source<'a>, value: &'a Value) -> Self {
        Self { source, pointer: String::new(), value }
    }

    pub(super) fn error(&self, message: impl Into<String>) -> Error {
        Error::Field {
            file: self.source.file.to_owned(),
            line: self.line(),
            field: field_name(&self.pointer),
            message: message.into(),
        }
    }

    pub(super) fn line(&self) -> usize {
        self.source.lines.find(&self.pointer)
    }

    /// The map here; only these fields may be in it.
    pub(super) fn map(&self, known: &[&str]) -> Result<&'a Map, Error> {
        let map = self.any_map()?;
        for key in map.keys() {
            if !known.contains(&key.as_str()) {
                let unknown = self.child(key, &Value::Null);
                return Err(unknown.error(format!("unknown field; {}", suggestion(key, known))));
            }
        }
        Ok(map)
    }

    pub(super) fn any_map(&self) -> Result<&'a Map, Error> {
        self.value.as_object().ok_or_else(|| self.error(format!("want a mapping, found {}", kind(self.value))))
    }

    pub(super) fn child<'b>(&self, key: &str, value: &'b Value) -> At<'b>
    where
        'a: 'b,
    {
        At { source: self.source, pointer: child(&self.pointer, key), value }
    }

    /// A field of the map here; null counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<At<'a>> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(self.child(key, value))
    }

    pub(super) fn need(&self, key: &str) -> Result<At<'a>, Error> {
        self.get(key).ok_or_else(|| self.error(format!("field {key:?} is missing")))
    }

    pub(super) fn text(&self) -> Result<&'a str, Error> {
        self.value.as_str().ok_or_else(|| self.error(format!("want a string, found {}", kind(self.value))))
    }

    pub(super) fn boolean(&self) -> Result<bool, Error> {
        self.value.as_bool().ok_or_else(|| self.error(format!("want true or false, found {}", kind(self.value))))
    }

    pub(super) fn number(&self) -> Result<u64, Error> {
        self.value.as_u64().ok_or_else(|| self.error(format!("want a whole number, found {}", kind(self.value))))
    }

    pub(super) fn duration(&self) -> Result<std::time::Duration, Error> {
        super::duration(self.value).ok_or_else(|| self.error("want a duration such as 90s, 1m30s or 500ms"))
    }

    /// The items of the list here.
    pub(super) fn list(&self) -> Result<Vec<At<'a>>, Error> {
        let list =
            self.value.as_array().ok_or_else(|| self.error(format!("want a list, found {}", kind(self.value))))?;
        Ok(list.iter().enumerate().map(|(index, value)| self.child(&index.to_string(), value)).collect())
    }

    /// The items of the list here, or the one thing that is here.
    pub(super) fn one_or_list(&self) -> Vec<At<'a>> {
        self.list().unwrap_or_else(|_| vec![self.clone()])
    }

    pub(super) fn texts(&self) -> Result<Vec<String>, Error> {
        self.one_or_list().into_iter().map(|item| item.text().map(str::to_owned)).collect()
    }
}

/// `/steps/2/expect` as people write it: `steps[2].expect`.
fn field_name(pointer: &str) -> String {
    let mut name = String::new();
    for part in pointer.split('/').skip(1) {
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            name.push_str(&format!("[{part}]"));
        } else {
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(&part.replace("~1", "/").replace("~0", "~"));
        }
    }
    if name.is_empty() { "the scenario".to_owned() } else { name }
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// The nearest known word, or all of them.
pub(super) fn suggestion(word: &str, known: &[&str]) -> String {
    let near = known.iter().map(|known| (distance(word, known), known)).min();
    match near {
        Some((distance, known)) if distance <= 2 && distance < known.len() => format!("did you mean {known:?}?"),
        _ => format!("known are {}", known.join(", ")),
    }
}

/// Letters to add, drop or change, case aside.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    if a.len() > 40 {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let best = (corner + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = row[j + 1];
            row[j + 1] = best;
        }
    }
    row[b.len()]
}
