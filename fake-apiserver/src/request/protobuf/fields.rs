//! The table of fields.

use std::collections::HashMap;
use std::sync::LazyLock;

/// How a field's value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Integer,
    Bool,
    Float,
    Bytes,
    Time,
    MicroTime,
    Duration,
    Quantity,
    IntOrString,
    /// JSON within.
    Raw,
    Message(&'static str),
    Pointer(Box<Form>),
    List(Box<Form>),
    /// With text keys.
    Map(Box<Form>),
    /// A message that is nothing but a list.
    NamedList(Box<Form>),
}

impl Form {
    fn parse(text: &'static str) -> Option<Form> {
        let inner = || Form::parse(&text[1..]).map(Box::new);
        Some(match text {
            "s" => Form::Text,
            "i" => Form::Integer,
            "b" => Form::Bool,
            "f" => Form::Float,
            "y" => Form::Bytes,
            "t" => Form::Time,
            "m" => Form::MicroTime,
            "d" => Form::Duration,
            "q" => Form::Quantity,
            "x" => Form::IntOrString,
            "r" => Form::Raw,
            _ if text.starts_with('*') => Form::Pointer(inner()?),
            _ if text.starts_with("@[") => Form::NamedList(Box::new(Form::parse(&text[2..])?)),
            _ if text.starts_with('[') => Form::List(inner()?),
            _ if text.starts_with('{') => Form::Map(inner()?),
            _ if text.contains('.') => Form::Message(text),
            _ => return None,
        })
    }

    /// What a pointer points to.
    pub(super) fn inner(&self) -> &Form {
        match self {
            Form::Pointer(inner) => inner,
            other => other,
        }
    }
}

/// One field.
#[derive(Clone, Debug)]
pub(super) struct Field {
    number: u32,
    pub(super) name: String,
    pub(super) form: Form,
    /// JSON has it even when it is empty.
    pub(super) keeps_empty: bool,
    /// Its own fields stand among the parent's.
    pub(super) inline: bool,
}

/// The fields of a struct, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Message(Vec<Field>);

impl Message {
    pub(super) fn field(&self, number: u32) -> Option<&Field> {
        self.0.iter().find(|field| field.number == number)
    }
}

pub(super) struct Table {
    packages: HashMap<&'static str, &'static str>,
    messages: HashMap<&'static str, Message>,
}

impl Table {
    /// The message of a kind.
    pub(super) fn kind(&self, api_version: &str, kind: &str) -> Option<&Message> {
        let version = if api_version.contains('/') { api_version.to_owned() } else { format!("/{api_version}") };
        let own = self.packages.get(version.as_str()).and_then(|package| self.message(&format!("{package}.{kind}")));
        // The options of a deletion are sent in whatever version the client speaks.
        own.or_else(|| self.message("meta/v1.DeleteOptions").filter(|_| kind == "DeleteOptions"))
    }

    pub(super) fn message(&self, name: &str) -> Option<&Message> {
        self.messages.get(name)
    }
}

pub(super) static TABLE: LazyLock<Table> = LazyLock::new(|| parse(include_str!("fields.txt")));

fn parse(text: &'static str) -> Table {
    let mut table = Table { packages: HashMap::new(), messages: HashMap::new() };
    for line in text.lines() {
        let mut words = line.split(' ');
        match words.next() {
            Some("=") => {
                if let (Some(version), Some(package)) = (words.next(), words.next()) {
                    table.packages.insert(version, package);
                }
            }
            Some(name) => {
                table.messages.insert(name, Message(words.filter_map(field).collect()));
            }
            None => {}
        }
    }
    table
}

fn field(text: &'static str) -> Option<Field> {
    let mut parts = text.splitn(3, ':');
    let (number, name, form) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
    let bare = form.trim_end_matches(['!', '~']);
    Some(Field {
        number,
        name: name.to_owned(),
        form: Form::parse(bare)?,
        keeps_empty: form.ends_with('!'),
        inline: form.ends_with('~'),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_understood() {
        let text = include_str!("fields.txt");
        for line in text.lines().filter(|line| !line.starts_with("= ")) {
            for word in line.split(' ').skip(1) {
                let field = field(word).unwrap_or_else(|| panic!("{line}: {word}"));
                let mut form = &field.form;
                while let Form::Pointer(inner) | Form::List(inner) | Form::Map(inner) | Form::NamedList(inner) = form {
                    form = inner;
                }
                if let Form::Message(name) = form {
                    assert!(TABLE.message(name).is_some(), "{line}: nobody says what {name} is");
                }
            }
        }
    }
}
