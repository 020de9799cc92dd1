//! `x-kubernetes-validations`: CEL rules of a schema, on the value that they stand at.

use apimachinery::go::quote;
use apimachinery::value::Value;
use kube_cel::cel::Value as Cel;

use super::compiled;
use super::validate::error;
use crate::admission::{Budget, UserInfo, Variables, from_json};
use crate::core::Core;
use crate::objects::field::{ErrorType, FieldError};

/// Cost of all rules of one object at most.
const BUDGET: i64 = 100_000_000;

/// Evaluates the rules of a schema and of everything below it. `old` is what the value was before, on an update.
pub(super) fn check(core: &Core, schema: &Value, value: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let user = UserInfo::default();
    let mut walk = Walk { core, user: &user, budget: Budget(BUDGET), errors };
    walk.value(schema, value, old, "");
}

struct Walk<'a> {
    core: &'a Core,
    user: &'a UserInfo,
    budget: Budget,
    errors: &'a mut Vec<FieldError>,
}

impl Walk<'_> {
    fn value(&mut self, schema: &Value, value: &Value, old: Option<&Value>, at: &str) {
        if value.is_null() {
            return;
        }
        if let Some(rules) = schema["x-kubernetes-validations"].as_array() {
            let own = typed(schema, value);
            let before = old.filter(|old| !old.is_null()).map(|old| typed(schema, old));
            for rule in rules {
                self.rule(rule, schema, &own, before.as_ref(), at);
            }
        }
        match value {
            Value::Object(fields) => {
                let others = Some(&schema["additionalProperties"]).filter(|schema| schema.is_object());
                for (name, value) in fields {
                    let Some(schema) = schema["properties"].get(name).or(others) else { continue };
                    let at = if at.is_empty() { name.to_string() } else { format!("{at}.{name}") };
                    self.value(schema, value, old.and_then(|old| old.get(name)), &at);
                }
            }
            Value::Array(items) if schema["items"].is_object() => {
                for (index, item) in items.iter().enumerate() {
                    let old = old.and_then(|old| counterpart(schema, item, old));
                    self.value(&schema["items"], item, old, &format!("{at}[{index}]"));
                }
            }
            _ => {}
        }
    }

    fn rule(&mut self, rule: &Value, schema: &Value, own: &Cel, old: Option<&Cel>, at: &str) {
        let text = |field: &str| rule[field].as_str().unwrap_or_default();
        let source = text("rule");
        let optional = rule["optionalOldSelf"] == true;
        let looks_back = mentions_old(source);
        if looks_back && old.is_none() && !optional {
            return;
        }
        let mut values = vec![("self", own.clone())];
        if looks_back {
            values.push(("oldSelf", old_self(old, optional)));
        }
        let variables = Variables { values, user: self.user, cluster: self.core };
        let kind = quote(schema["type"].as_str().unwrap_or("object"));
        let place = match text("fieldPath") {
            "" => at.to_owned(),
            path => format!("{at}{path}").trim_start_matches('.').to_owned(),
        };
        let compiled = compiled::rule(source);
        let outcome = match compiled.as_ref() {
            Ok(program) => program.evaluate(&variables, &mut self.budget),
            Err(reason) => Err(format!("compilation failed: {reason}")),
        };
        let message = || {
            let own = match text("messageExpression") {
                "" => None,
                source => match compiled::rule(source).as_ref() {
                    Ok(program) => program.evaluate(&variables, &mut Budget(BUDGET)).ok(),
                    Err(_) => None,
                },
            };
            match own {
                Some(Cel::String(text)) if !text.trim().is_empty() => text.to_string(),
                _ if !text("message").is_empty() => text("message").to_owned(),
                _ => format!("failed rule: {}", source.trim()),
            }
        };
        let found = match outcome {
            Ok(Cel::Bool(true)) => return,
            Ok(_) => match text("reason") {
                "FieldValueRequired" => error(ErrorType::Required, &place, String::new(), message()),
                "FieldValueForbidden" => error(ErrorType::Forbidden, &place, String::new(), message()),
                "FieldValueDuplicate" => error(ErrorType::Duplicate, &place, kind, message()),
                _ => error(ErrorType::Invalid, &place, kind, message()),
            },
            Err(reason) => {
                let about = match text("message") {
                    "" => source.trim(),
                    message => message,
                };
                error(ErrorType::Invalid, &place, kind, format!("{reason} evaluating rule: {about}"))
            }
        };
        self.errors.push(found);
    }
}

/// Whether an expression names `oldSelf`, which makes it a rule about changes.
fn mentions_old(source: &str) -> bool {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    source.match_indices("oldSelf").any(|(at, word)| {
        !source[..at].ends_with(|letter| is_word(letter) || letter == '.')
            && !source[at + word.len()..].starts_with(is_word)
    })
}

fn old_self(old: Option<&Cel>, optional: bool) -> Cel {
    use kube_cel::cel::objects::OptionalValue;
    match (optional, old) {
        (false, old) => old.cloned().unwrap_or(Cel::Null),
        (true, Some(old)) => Cel::Opaque(std::sync::Arc::new(OptionalValue::of(old.clone()))),
        (true, None) => Cel::Opaque(std::sync::Arc::new(OptionalValue::none())),
    }
}

/// The element of the old list that a new one is compared with: lists that are maps have one by its keys, others none.
fn counterpart<'a>(schema: &Value, item: &Value, old: &'a Value) -> Option<&'a Value> {
    if schema["x-kubernetes-list-type"] != "map" {
        return None;
    }
    let keys: Vec<&str> = schema["x-kubernetes-list-map-keys"].as_array()?.iter().filter_map(Value::as_str).collect();
    old.as_array()?.iter().find(|old| keys.iter().all(|key| old.get(key) == item.get(key)))
}

/// The CEL value of a JSON value as its schema has it: numbers that may have fractions are doubles.
fn typed(schema: &Value, value: &Value) -> Cel {
    use kube_cel::cel::objects::{Key, Map};
    match value {
        Value::Number(number) if schema["type"] == "number" => Cel::Float(number.as_f64().unwrap_or_default()),
        Value::Array(items) => {
            Cel::List(std::sync::Arc::new(items.iter().map(|item| typed(&schema["items"], item)).collect()))
        }
        Value::Object(fields) => {
            let others = &schema["additionalProperties"];
            let entries = fields.iter().map(|(name, value)| {
                let schema = schema["properties"].get(name).unwrap_or(others);
                (Key::String(std::sync::Arc::new(escaped(name, others.is_object()))), typed(schema, value))
            });
            Cel::Map(Map { map: std::sync::Arc::new(entries.collect()) })
        }
        other => from_json(other),
    }
}

/// A property's name as CEL can write it: `__`, `.`, `-`, `/` and CEL's own words are spelled out. Keys of maps stay.
fn escaped(name: &str, is_key: bool) -> String {
    const WORDS: [&str; 20] = [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "while",
    ];
    if is_key {
        return name.to_owned();
    }
    if WORDS.contains(&name) {
        return format!("__{name}__");
    }
    if !name.contains(['.', '-', '/']) && !name.contains("__") {
        return name.to_owned();
    }
    name.replace("__", "__underscores__").replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__")
}
