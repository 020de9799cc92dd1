//! Sprig's functions on lists, dictionaries and defaults.

use std::collections::BTreeMap;

use super::{Context, Function, MANY, any, empty, int, list, map, string, strval};
use crate::value::Value;
use crate::value::truth;

type Out<'a> = Result<Value<'a>, String>;

pub(super) static TABLE: &[Function] = &[
    Function::new("default", 1, 2, |_, a| {
        let given = any(a, 1);
        Ok(if a.len() < 2 || empty(&given) { any(a, 0) } else { given })
    }),
    Function::new("empty", 1, 1, |_, a| Ok(Value::Bool(empty(&any(a, 0))))),
    Function::new("coalesce", 0, MANY, |_, a| Ok(a.iter().find(|v| !empty(v)).cloned().unwrap_or(Value::Nil))),
    Function::new("all", 0, MANY, |_, a| Ok(Value::Bool(!a.iter().any(empty)))),
    Function::new("any", 0, MANY, |_, a| Ok(Value::Bool(!a.iter().all(empty)))),
    Function::new("ternary", 3, 3, |_, a| Ok(any(a, usize::from(!truth(&any(a, 2)))))),
    Function::new("fail", 1, 1, |_, a| Err(string(a, 0)?.to_owned())),
    Function::new("list", 0, MANY, |_, a| Ok(Value::list(a.to_vec()))),
    Function::new("tuple", 0, MANY, |_, a| Ok(Value::list(a.to_vec()))),
    Function::new("append", 2, 2, append),
    Function::new("mustAppend", 2, 2, append),
    Function::new("push", 2, 2, append),
    Function::new("mustPush", 2, 2, append),
    Function::new("prepend", 2, 2, prepend),
    Function::new("mustPrepend", 2, 2, prepend),
    Function::new("first", 1, 1, first),
    Function::new("mustFirst", 1, 1, first),
    Function::new("last", 1, 1, last),
    Function::new("mustLast", 1, 1, last),
    Function::new("rest", 1, 1, |_, a| Ok(Value::list(list(a, 0)?.into_iter().skip(1).collect()))),
    Function::new("mustRest", 1, 1, |_, a| Ok(Value::list(list(a, 0)?.into_iter().skip(1).collect()))),
    Function::new("initial", 1, 1, initial),
    Function::new("mustInitial", 1, 1, initial),
    Function::new("reverse", 1, 1, reverse),
    Function::new("mustReverse", 1, 1, reverse),
    Function::new("uniq", 1, 1, uniq),
    Function::new("mustUniq", 1, 1, uniq),
    Function::new("compact", 1, 1, compact),
    Function::new("mustCompact", 1, 1, compact),
    Function::new("without", 1, MANY, without),
    Function::new("mustWithout", 1, MANY, without),
    Function::new("has", 2, 2, has),
    Function::new("mustHas", 2, 2, has),
    Function::new("concat", 0, MANY, |_, a| {
        let mut out = Vec::new();
        for n in 0..a.len() {
            out.extend(list(a, n)?);
        }
        Ok(Value::list(out))
    }),
    Function::new("chunk", 2, 2, chunk),
    Function::new("mustChunk", 2, 2, chunk),
    Function::new("dict", 0, MANY, dict),
    Function::new("get", 2, 2, |_, a| Ok(map(a, 0)?.remove(string(a, 1)?).unwrap_or(Value::text("")))),
    Function::new("hasKey", 2, 2, |_, a| Ok(Value::Bool(map(a, 0)?.contains_key(string(a, 1)?)))),
    Function::new("set", 3, 3, |_, a| {
        change(a, |m| {
            m.insert(string(a, 1)?.to_owned(), any(a, 2));
            Ok(())
        })
    }),
    Function::new("unset", 2, 2, |_, a| {
        change(a, |m| {
            m.remove(string(a, 1)?);
            Ok(())
        })
    }),
    Function::new("keys", 0, MANY, |_, a| {
        let mut out = Vec::new();
        for n in 0..a.len() {
            out.extend(map(a, n)?.into_keys().map(Value::owned));
        }
        Ok(Value::list(out))
    }),
    Function::new("values", 1, 1, |_, a| Ok(Value::list(map(a, 0)?.into_values().collect()))),
    Function::new("pick", 1, MANY, |_, a| {
        let mut from = map(a, 0)?;
        let mut out = BTreeMap::new();
        for n in 1..a.len() {
            let key = string(a, n)?;
            out.extend(from.remove_entry(key));
        }
        Ok(Value::map(out))
    }),
    Function::new("omit", 1, MANY, |_, a| {
        let mut out = map(a, 0)?;
        for n in 1..a.len() {
            out.remove(string(a, n)?);
        }
        Ok(Value::map(out))
    }),
    Function::new("pluck", 1, MANY, |_, a| {
        let key = string(a, 0)?;
        let mut out = Vec::new();
        for n in 1..a.len() {
            out.extend(map(a, n)?.remove(key));
        }
        Ok(Value::list(out))
    }),
    Function::new("merge", 1, MANY, |_, a| merge(a, false)),
    Function::new("mustMerge", 1, MANY, |_, a| merge(a, false)),
    Function::new("mergeOverwrite", 1, MANY, |_, a| merge(a, true)),
    Function::new("mustMergeOverwrite", 1, MANY, |_, a| merge(a, true)),
    Function::new("deepCopy", 1, 1, |_, a| deep_copy(&any(a, 0), 0)),
    Function::new("mustDeepCopy", 1, 1, |_, a| deep_copy(&any(a, 0), 0)),
    Function::new("deepEqual", 2, 2, |_, a| Ok(Value::Bool(same(&any(a, 0), &any(a, 1))))),
    Function::new("dig", 3, MANY, dig),
    Function::new("kindOf", 1, 1, |_, a| Ok(Value::text(kind(&any(a, 0))))),
    Function::new("kindIs", 2, 2, |_, a| Ok(Value::Bool(string(a, 0)? == kind(&any(a, 1))))),
    Function::new("typeOf", 1, 1, |_, a| Ok(Value::text(any(a, 0).type_name()))),
    Function::new("typeIs", 2, 2, |_, a| Ok(Value::Bool(string(a, 0)? == any(a, 1).type_name()))),
    Function::new("typeIsLike", 2, 2, |_, a| {
        Ok(Value::Bool(string(a, 0)?.trim_start_matches('*') == any(a, 1).type_name().trim_start_matches('*')))
    }),
];

fn append<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Out<'a> {
    let mut items = list(a, 0)?;
    items.push(any(a, 1));
    Ok(Value::list(items))
}

fn prepend<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Out<'a> {
    let mut items = list(a, 0)?;
    items.insert(0, any(a, 1));
    Ok(Value::list(items))
}

fn first<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Out<'a> {
    Ok(list(a, 0)?.into_iter().next().unwrap_or(Value::Nil))
}

fn last<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Out<'a> {
    Ok(list(a, 0)?.pop().unwrap_or(Value::Nil))
}

fn initial<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Out<'a> {
    let mut items = list(a, 0)?;
    items.pop();
    Ok(Value::list(items))
}

fn reverse<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Out<'a> {
    Ok(Value::list(list(a, 0)?.into_iter().rev().collect()))
}

/// Equal in Go's `reflect.DeepEqual`: same kind, same value.
fn same(a: &Value<'_>, b: &Value<'_>) -> bool {
    kind(a) == kind(b) && a.to_json() == b.to_json()
}

/// One text per value that is equal for equal values, so that `uniq` and `without` stay linear.
fn fingerprint(value: &Value<'_>) -> String {
    format!("{} {}", kind(value), value.to_json())
}

fn uniq<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Out<'a> {
    let mut seen = std::collections::BTreeSet::new();
    Ok(Value::list(list(a, 0)?.into_iter().filter(|v| seen.insert(fingerprint(v))).collect()))
}

fn compact<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Out<'a> {
    Ok(Value::list(list(a, 0)?.into_iter().filter(|v| !empty(v)).collect()))
}

fn without<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Out<'a> {
    let gone: std::collections::BTreeSet<String> = a.iter().skip(1).map(fingerprint).collect();
    Ok(Value::list(list(a, 0)?.into_iter().filter(|v| !gone.contains(&fingerprint(v))).collect()))
}

fn has<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Out<'a> {
    let needle = any(a, 0);
    Ok(Value::Bool(list(a, 1)?.iter().any(|v| same(v, &needle))))
}

fn chunk<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Out<'a> {
    let size = usize::try_from(int(a, 0)?).ok().filter(|n| *n > 0).ok_or("the size has to be positive")?;
    Ok(Value::list(list(a, 1)?.chunks(size).map(|c| Value::list(c.to_vec())).collect()))
}

fn dict<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Out<'a> {
    let mut out = BTreeMap::new();
    for pair in a.chunks(2) {
        let value = pair.get(1).cloned().unwrap_or_else(|| Value::text(""));
        out.insert(pair.first().map(strval).unwrap_or_default(), value);
    }
    Ok(Value::map(out))
}

/// Changes a dictionary in place where it can be, and returns it.
fn change<'a>(a: &[Value<'a>], f: impl FnOnce(&mut BTreeMap<String, Value<'a>>) -> Result<(), String>) -> Out<'a> {
    if let Value::Map(shared) = any(a, 0) {
        // A dictionary that holds itself is found by weighing what is returned.
        let mut copy = shared.borrow().clone();
        f(&mut copy)?;
        *shared.borrow_mut() = copy;
        return Ok(Value::Map(shared));
    }
    let mut copy = map(a, 0)?;
    f(&mut copy)?;
    Ok(Value::map(copy))
}

fn merge<'a>(a: &[Value<'a>], overwrite: bool) -> Out<'a> {
    let mut out = map(a, 0)?;
    for n in 1..a.len() {
        merge_into(&mut out, map(a, n)?, overwrite, 0)?;
    }
    if let Value::Map(shared) = any(a, 0) {
        *shared.borrow_mut() = out;
        return Ok(Value::Map(shared));
    }
    Ok(Value::map(out))
}

/// Deeper dictionaries than these are refused.
const MAX_DEPTH: usize = 64;

fn merge_into<'a>(
    out: &mut BTreeMap<String, Value<'a>>,
    from: BTreeMap<String, Value<'a>>,
    overwrite: bool,
    depth: usize,
) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err("nested too deep".to_owned());
    }
    for (key, value) in from {
        match (out.get(&key).and_then(Value::entries), value.entries()) {
            (Some(mut inner), Some(more)) => {
                merge_into(&mut inner, more, overwrite, depth + 1)?;
                out.insert(key, Value::map(inner));
            }
            _ if overwrite && !empty(&value) || out.get(&key).is_none_or(empty) => {
                out.insert(key, value);
            }
            _ => {}
        }
    }
    Ok(())
}

fn deep_copy<'a>(value: &Value<'a>, depth: usize) -> Out<'a> {
    if depth > MAX_DEPTH {
        return Err("nested too deep".to_owned());
    }
    Ok(match value {
        Value::Map(map) => {
            let copied: Result<_, String> =
                map.borrow().iter().map(|(k, v)| Ok((k.clone(), deep_copy(v, depth + 1)?))).collect();
            Value::map(copied?)
        }
        Value::List(items) => Value::list(items.iter().map(|v| deep_copy(v, depth + 1)).collect::<Result<_, _>>()?),
        other => other.clone(),
    })
}

/// `dig "a" "b" default dict`.
fn dig<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Out<'a> {
    let keys = a.len() - 2;
    let mut at = any(a, keys + 1);
    for n in 0..keys {
        let key = string(a, n)?;
        match at.entries().and_then(|mut m| m.remove(key)) {
            Some(next) => at = next,
            None => return Ok(any(a, keys)),
        }
    }
    Ok(at)
}

/// Go's `reflect.Kind` of a value.
fn kind(value: &Value<'_>) -> &'static str {
    match value {
        Value::Nil => "invalid",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float64",
        Value::String(_) => "string",
        Value::Enum(_) => "int32",
        Value::Duration(_) | Value::Wrapper(_) => "ptr",
        Value::Free(apimachinery::value::Value::Array(_)) | Value::List(_) | Value::Typed(..) => "slice",
        Value::Free(_) | Value::Map(_) | Value::Strings(_) => "map",
        Value::Struct(..) | Value::Fields(_) => "struct",
    }
}
