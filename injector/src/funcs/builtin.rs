//! The functions of Go's `text/template` itself.

use std::cmp::Ordering;

use super::{Body, Context, Function, MANY, any, string};
use crate::value::truth;
use crate::value::{Value, format};

pub(super) static TABLE: &[Function] = &[
    Function { name: "and", min: 1, max: MANY, body: Body::And },
    Function { name: "or", min: 1, max: MANY, body: Body::Or },
    Function::new("not", 1, 1, |_, a| Ok(Value::Bool(!truth(&any(a, 0))))),
    Function::new("len", 1, 1, |_, a| {
        let value = any(a, 0);
        let len = value.len().ok_or_else(|| format!("len of type {}", value.type_name()))?;
        Ok(Value::Int(i64::try_from(len).unwrap_or(i64::MAX)))
    }),
    Function::new("index", 1, MANY, index),
    Function::new("slice", 1, 4, slice),
    Function::new("print", 0, MANY, |_, a| Ok(Value::owned(format::print_all(a)))),
    Function::new("println", 0, MANY, |_, a| {
        Ok(Value::owned(a.iter().map(format::sprint).collect::<Vec<_>>().join(" ") + "\n"))
    }),
    Function::new("printf", 1, MANY, |_, a| {
        Ok(Value::owned(format::sprintf(string(a, 0)?, a.get(1..).unwrap_or_default())))
    }),
    Function::new("html", 0, MANY, |_, a| Ok(Value::owned(gotmpl::html_escape(&format::print_all(a)).to_string()))),
    Function::new("js", 0, MANY, |_, a| Ok(Value::owned(gotmpl::js_escape(&format::print_all(a)).to_string()))),
    Function::new("urlquery", 0, MANY, |_, a| Ok(Value::owned(gotmpl::url_encode(&format::print_all(a)).to_string()))),
    Function::new("call", 1, MANY, |_, a| Err(format!("a {} is no function", any(a, 0).type_name()))),
    Function::new("eq", 1, MANY, eq),
    Function::new("ne", 2, 2, |_, a| Ok(Value::Bool(!equal(&any(a, 0), &any(a, 1))?))),
    Function::new("lt", 2, 2, |_, a| Ok(Value::Bool(compare(a)?.is_lt()))),
    Function::new("le", 2, 2, |_, a| Ok(Value::Bool(compare(a)?.is_le()))),
    Function::new("gt", 2, 2, |_, a| Ok(Value::Bool(compare(a)?.is_gt()))),
    Function::new("ge", 2, 2, |_, a| Ok(Value::Bool(compare(a)?.is_ge()))),
];

fn eq<'a>(_: &Context<'_>, args: &[Value<'a>]) -> Result<Value<'a>, String> {
    let Some((first, rest)) = args.split_first() else { return Err("missing argument".to_owned()) };
    if rest.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in rest {
        if equal(first, other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

/// Go compares only like basic types; nil equals nothing but nil.
fn equal(a: &Value<'_>, b: &Value<'_>) -> Result<bool, String> {
    let nil =
        |v: &Value<'_>| matches!(v, Value::Nil | Value::Struct(None, _) | Value::Duration(None) | Value::Wrapper(None));
    Ok(match (a, b) {
        _ if nil(a) || nil(b) => nil(a) && nil(b),
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::String(a), Value::String(b)) | (Value::Enum(a), Value::Enum(b)) => a == b,
        _ => return Err(format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name())),
    })
}

fn compare(args: &[Value<'_>]) -> Result<Ordering, String> {
    let (a, b) = (any(args, 0), any(args, 1));
    match (&a, &b) {
        (Value::Int(a), Value::Int(b)) => Ok(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b).ok_or_else(|| "not a number".to_owned()),
        (Value::String(a), Value::String(b)) => Ok(a.cmp(b)),
        _ => Err(format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name())),
    }
}

/// `index x 1 "a"`: x[1]["a"]. A string map gives "" for an absent key, a free-form one nil.
fn index<'a>(_: &Context<'_>, args: &[Value<'a>]) -> Result<Value<'a>, String> {
    let mut value = any(args, 0);
    for key in args.get(1..).unwrap_or_default() {
        value = match (&value, key) {
            (Value::Strings(map), Value::String(key)) => {
                map.and_then(|m| m.get(key)).and_then(|v| v.as_str()).map_or(Value::text(""), Value::text)
            }
            (Value::Free(_) | Value::Map(_), Value::String(key)) if value.elements().is_none() => value.field(key)?,
            (Value::String(text), Value::Int(i)) => {
                let byte = usize::try_from(*i).ok().and_then(|i| text.as_bytes().get(i).copied());
                Value::Int(i64::from(byte.ok_or_else(|| format!("index out of range: {i}"))?))
            }
            (Value::Nil, _) => return Err("index of untyped nil".to_owned()),
            (_, Value::Int(i)) => match value.elements() {
                Some(items) => usize::try_from(*i)
                    .ok()
                    .and_then(|i| items.into_iter().nth(i))
                    .ok_or_else(|| format!("index out of range: {i}"))?,
                None => return Err(format!("cannot index a {} with an integer", value.type_name())),
            },
            (_, key) => return Err(format!("cannot index a {} with a {}", value.type_name(), key.type_name())),
        };
    }
    Ok(value)
}

fn slice<'a>(_: &Context<'_>, args: &[Value<'a>]) -> Result<Value<'a>, String> {
    let value = any(args, 0);
    let len = value.len().ok_or_else(|| format!("cannot slice a {}", value.type_name()))?;
    let bound = |n: usize, default: usize| match args.get(n) {
        None => Ok(default),
        Some(Value::Int(i)) => usize::try_from(*i).ok().filter(|i| *i <= len).ok_or(format!("index out of range: {i}")),
        Some(other) => Err(format!("cannot slice with a {}", other.type_name())),
    };
    let (start, end) = (bound(1, 0)?, bound(2, len)?);
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    match (&value, value.elements()) {
        (Value::String(text), _) => Ok(Value::owned(text.get(start..end).ok_or("the slice cuts a character")?)),
        (_, Some(items)) => Ok(Value::list(items.into_iter().skip(start).take(end - start).collect())),
        _ => Err(format!("cannot slice a {}", value.type_name())),
    }
}
