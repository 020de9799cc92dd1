//! Objects in the apiserver's internal form, which some of its messages print: Go's names, Go's order, nothing left out.

mod diff;

use apimachinery::value::{List, Value};

use super::get::sub;

/// How a field is printed when it is absent, and what it holds.
#[derive(Clone, Copy)]
enum Code {
    /// A pointer, a list of scalars or a map: `null`.
    Null,
    /// A string: `""`.
    Text,
    /// A number: `0`.
    Number,
    /// A boolean: `false`.
    Flag,
    /// A pointer to a struct: `null`.
    Pointer(&'static str),
    /// A struct.
    Struct(&'static str),
    /// A list of structs: `null`.
    List(&'static str),
}

/// A line per type: its name, then its fields as `GoName`, or `GoName=jsonName` where lowering the first letter does not
/// give the JSON name, with a suffix: none for `null`, `"` text, `#` number, `?` boolean, `*T` pointer, `:T` struct, `[T` list.
/// `^` before a field: it is found in the parent (the pod's spec) in the API.
const TYPES: &str = include_str!("internal/types.txt");

struct Field {
    go: &'static str,
    json: String,
    code: Code,
    in_parent: bool,
}

fn fields(name: &str) -> Vec<Field> {
    let line = TYPES.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap_or_default();
    line.split(' ').filter(|word| !word.is_empty()).map(field).collect()
}

fn field(word: &'static str) -> Field {
    let in_parent = word.starts_with('^');
    let word = word.strip_prefix('^').unwrap_or(word);
    let at = word.find(['"', '#', '?', '*', ':', '[']).unwrap_or(word.len());
    let (name, code) = word.split_at(at);
    let rest = code.get(1..).unwrap_or_default();
    let code = match code.as_bytes().first() {
        Some(b'"') => Code::Text,
        Some(b'#') => Code::Number,
        Some(b'?') => Code::Flag,
        Some(b'*') => Code::Pointer(rest),
        Some(b':') => Code::Struct(rest),
        Some(b'[') => Code::List(rest),
        _ => Code::Null,
    };
    let (go, json) = match name.split_once('=') {
        Some((go, json)) => (go, json.to_owned()),
        None => {
            let mut letters = name.chars();
            let first = letters.next().map(|letter| letter.to_ascii_lowercase());
            (name, first.into_iter().chain(letters).collect())
        }
    };
    Field { go, json, code, in_parent }
}

/// An object of an internal type as one line of JSON.
pub(crate) fn compact(name: &str, value: &Value) -> String {
    let mut printer = Printer { out: String::new(), pretty: false, depth: 0 };
    printer.object(name, value, &Value::Null);
    printer.out
}

/// What is different between two objects of an internal type, as the apiserver shows it: a unified diff of their JSON.
pub(crate) fn difference(name: &str, old: &Value, new: &Value) -> String {
    let print = |value: &Value| {
        let mut printer = Printer { out: String::new(), pretty: true, depth: 0 };
        printer.object(name, value, &Value::Null);
        printer.out
    };
    diff::unified(&print(old), &print(new))
}

struct Printer {
    out: String,
    pretty: bool,
    depth: usize,
}

impl Printer {
    fn line(&mut self) {
        if self.pretty {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', self.depth));
        }
    }

    fn key(&mut self, name: &str, first: bool) {
        if !first {
            self.out.push(',');
        }
        self.line();
        self.out.push_str(&Value::from(name).to_string());
        self.out.push(':');
        if self.pretty {
            self.out.push(' ');
        }
    }

    fn open(&mut self, bracket: char) {
        self.out.push(bracket);
        self.depth += 1;
    }

    fn close(&mut self, bracket: char) {
        self.depth = self.depth.saturating_sub(1);
        self.line();
        self.out.push(bracket);
    }

    fn object(&mut self, name: &str, value: &Value, parent: &Value) {
        self.open('{');
        for (index, field) in fields(name).iter().enumerate() {
            self.key(field.go, index == 0);
            let holder = if field.in_parent { parent } else { value };
            let found = sub(holder, &field.json);
            match field.code {
                // The pod's host* fields live in the internal security context.
                Code::Pointer(ty) if name == "PodSpec" && ty == "PodSecurityContext" => self.object(ty, found, value),
                Code::Pointer(_) | Code::List(_) | Code::Null if found.is_null() => self.out.push_str("null"),
                Code::Pointer(ty) | Code::Struct(ty) => self.object(ty, found, value),
                Code::List(ty) => {
                    let items = found.as_array().map_or(&[][..], List::as_slice);
                    self.open('[');
                    for (index, item) in items.iter().enumerate() {
                        if index > 0 {
                            self.out.push(',');
                        }
                        self.line();
                        self.object(ty, item, value);
                    }
                    self.close(']');
                }
                Code::Text if found.is_null() => self.out.push_str("\"\""),
                Code::Number if found.is_null() => self.out.push('0'),
                Code::Flag if found.is_null() => self.out.push_str("false"),
                _ => self.any(found),
            }
        }
        self.close('}');
    }

    fn any(&mut self, value: &Value) {
        match value {
            Value::Array(items) if !items.is_empty() => {
                self.open('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.out.push(',');
                    }
                    self.line();
                    self.any(item);
                }
                self.close(']');
            }
            Value::Object(fields) if !fields.is_empty() => {
                self.open('{');
                for (index, (key, value)) in fields.iter().enumerate() {
                    self.key(key, index == 0);
                    self.any(value);
                }
                self.close('}');
            }
            other => self.out.push_str(&other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use apimachinery::value::json;

    use super::*;

    #[test]
    fn a_security_context_as_messages_print_it() {
        // pod-validation/privileged-no-escalation
        let context = json!({"privileged": true, "allowPrivilegeEscalation": false});
        assert_eq!(
            compact("SecurityContext", &context),
            r#"{"Capabilities":null,"Privileged":true,"SELinuxOptions":null,"WindowsOptions":null,"RunAsUser":null,"RunAsGroup":null,"RunAsNonRoot":null,"ReadOnlyRootFilesystem":null,"AllowPrivilegeEscalation":false,"ProcMount":null,"SeccompProfile":null,"AppArmorProfile":null}"#
        );
    }

    #[test]
    fn every_type_named_is_there() {
        for line in TYPES.lines() {
            for field in line.split(' ').skip(1).map(field) {
                if let Code::Pointer(ty) | Code::Struct(ty) | Code::List(ty) = field.code {
                    assert!(!fields(ty).is_empty(), "{ty}");
                }
            }
        }
    }
}
