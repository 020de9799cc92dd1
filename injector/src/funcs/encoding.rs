//! Sprig's encodings, hashes, JSON, paths and URLs.

use apimachinery::value::Value as Json;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha512};

use super::{Context, Function, any, map, string, strval};
use crate::value::Value;
use crate::value::format::go_float;

type Out<'a> = Result<Value<'a>, String>;

pub(super) static TABLE: &[Function] =
    &[
        Function::new("b64enc", 1, 1, |_, a| Ok(Value::owned(STANDARD.encode(string(a, 0)?)))),
        Function::new("b64dec", 1, 1, |_, a| {
            let text = string(a, 0)?;
            // As in sprig, the error's text is the result.
            let decoded = STANDARD.decode(text).map_err(|e| e.to_string());
            Ok(Value::owned(decoded.map_or_else(|e| e, |b| String::from_utf8_lossy(&b).into_owned())))
        }),
        Function::new("b32enc", 1, 1, |_, a| Ok(Value::owned(base32(string(a, 0)?.as_bytes())))),
        Function::new("b32dec", 1, 1, |_, a| {
            let decoded = from_base32(string(a, 0)?).ok_or("not base32")?;
            Ok(Value::owned(String::from_utf8_lossy(&decoded)))
        }),
        Function::new("sha256sum", 1, 1, |_, a| Ok(Value::owned(hex(&Sha256::digest(string(a, 0)?.as_bytes()))))),
        Function::new("sha512sum", 1, 1, |_, a| Ok(Value::owned(hex(&Sha512::digest(string(a, 0)?.as_bytes()))))),
        Function::new("adler32sum", 1, 1, |_, a| Ok(Value::owned(adler32(string(a, 0)?.as_bytes()).to_string()))),
        Function::new("toJson", 1, 1, |_, a| Ok(Value::owned(go_json(&any(a, 0))))),
        Function::new("mustToJson", 1, 1, |_, a| Ok(Value::owned(go_json(&any(a, 0))))),
        Function::new("toRawJson", 1, 1, |_, a| Ok(Value::owned(any(a, 0).to_json().to_string()))),
        Function::new("mustToRawJson", 1, 1, |_, a| Ok(Value::owned(any(a, 0).to_json().to_string()))),
        Function::new("toPrettyJson", 1, 1, |_, a| Ok(Value::owned(pretty(&any(a, 0))))),
        Function::new("mustToPrettyJson", 1, 1, |_, a| Ok(Value::owned(pretty(&any(a, 0))))),
        Function::new("fromJson", 1, 1, |_, a| {
            Ok(serde_json::from_str(string(a, 0)?).map_or(Value::Nil, Value::from_json))
        }),
        Function::new("mustFromJson", 1, 1, |_, a| {
            serde_json::from_str(string(a, 0)?).map(Value::from_json).map_err(|e| format!("not JSON: {e}"))
        }),
        Function::new("base", 1, 1, |_, a| Ok(Value::owned(base(string(a, 0)?)))),
        Function::new("osBase", 1, 1, |_, a| Ok(Value::owned(base(string(a, 0)?)))),
        Function::new("dir", 1, 1, |_, a| Ok(Value::owned(dir(string(a, 0)?)))),
        Function::new("osDir", 1, 1, |_, a| Ok(Value::owned(dir(string(a, 0)?)))),
        Function::new("clean", 1, 1, |_, a| Ok(Value::owned(clean(string(a, 0)?)))),
        Function::new("osClean", 1, 1, |_, a| Ok(Value::owned(clean(string(a, 0)?)))),
        Function::new("ext", 1, 1, |_, a| Ok(Value::owned(ext(string(a, 0)?)))),
        Function::new("osExt", 1, 1, |_, a| Ok(Value::owned(ext(string(a, 0)?)))),
        Function::new("isAbs", 1, 1, |_, a| Ok(Value::Bool(string(a, 0)?.starts_with('/')))),
        Function::new("osIsAbs", 1, 1, |_, a| Ok(Value::Bool(string(a, 0)?.starts_with('/')))),
        Function::new("urlParse", 1, 1, url_parse),
        Function::new("urlJoin", 1, 1, url_join),
        Function::new("duration", 1, 1, |_, a| {
            let seconds: i64 = strval(&any(a, 0)).parse().unwrap_or(0);
            Ok(Value::owned(go_duration(i128::from(seconds) * 1_000_000_000)))
        }),
    ];

/// JSON as Go's encoder prints it: no blanks, and `<`, `>`, `&` escaped.
pub(super) fn go_json(value: &Value<'_>) -> String {
    escape_html(&value.to_json().to_string())
}

pub(super) fn escape_html(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    out
}

fn pretty(value: &Value<'_>) -> String {
    escape_html(&serde_json::to_string_pretty(&value.to_json()).unwrap_or_default())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

fn adler32(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    });
    b << 16 | a
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn base32(bytes: &[u8]) -> String {
    let mut out = String::new();
    for block in bytes.chunks(5) {
        let bits = block.iter().fold(0u64, |n, b| n << 8 | u64::from(*b)) << (8 * (5 - block.len()));
        let letters = (block.len() * 8).div_ceil(5);
        for i in 0..8 {
            let digit = usize::try_from(bits >> (35 - 5 * i) & 31).unwrap_or(0);
            out.push(if i < letters { BASE32.get(digit).map_or('=', |b| char::from(*b)) } else { '=' });
        }
    }
    out
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count) = (0u64, 0u32);
    let mut out = Vec::new();
    for byte in text.trim_end_matches('=').bytes() {
        let digit = BASE32.iter().position(|b| *b == byte)?;
        bits = (bits << 5 | u64::try_from(digit).ok()?) & 0xfff;
        count += 5;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(out)
}

/// Go's `path.Base`.
fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() { "/" } else { trimmed.rsplit('/').next().unwrap_or(trimmed) }
}

/// Go's `path.Dir`.
fn dir(path: &str) -> String {
    clean(path.rsplit_once('/').map_or("", |(dir, _)| if dir.is_empty() { "/" } else { dir }))
}

/// Go's `path.Clean`.
fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|p| *p != "..") => drop(parts.pop()),
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (absolute, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// Go's `path.Ext`.
fn ext(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rfind('.').and_then(|i| name.get(i..)).unwrap_or("")
}

fn url_parse<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Out<'a> {
    let text = string(a, 0)?;
    let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let is_scheme = |s: &str| {
        s.starts_with(|c: char| c.is_ascii_alphabetic())
            && s.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    };
    let (scheme, rest) = rest.split_once(':').filter(|(s, _)| is_scheme(s)).unwrap_or(("", rest));
    let (authority, path, opaque) = match rest.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            (authority, path, "")
        }
        None if !scheme.is_empty() && !rest.starts_with('/') => ("", "", rest),
        None => ("", rest, ""),
    };
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let hostname =
        host.rsplit_once(':').filter(|(_, p)| p.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(h, _)| h);
    let fields = [
        ("scheme", scheme.to_lowercase()),
        ("host", host.to_owned()),
        ("hostname", hostname.trim_matches(['[', ']']).to_owned()),
        ("path", path.to_owned()),
        ("query", query.to_owned()),
        ("opaque", opaque.to_owned()),
        ("fragment", fragment.to_owned()),
        ("userinfo", user.to_owned()),
    ];
    Ok(Value::map(fields.into_iter().map(|(k, v)| (k.to_owned(), Value::owned(v))).collect()))
}

fn url_join<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Out<'a> {
    let parts = map(a, 0)?;
    let get = |k: &str| parts.get(k).map(strval).unwrap_or_default();
    let mut out = String::new();
    let (scheme, host, user) = (get("scheme"), get("host"), get("userinfo"));
    if !scheme.is_empty() {
        out += &format!("{scheme}:");
    }
    if !get("opaque").is_empty() {
        out += &get("opaque");
    } else {
        if !host.is_empty() || !user.is_empty() {
            out += "//";
            if !user.is_empty() {
                out += &format!("{user}@");
            }
            out += &host;
        }
        let path = get("path");
        if !path.is_empty() && !path.starts_with('/') && !host.is_empty() {
            out.push('/');
        }
        out += &path;
    }
    for (mark, key) in [("?", "query"), ("#", "fragment")] {
        let part = get(key);
        if !part.is_empty() {
            out += mark;
            out += &part;
        }
    }
    Ok(Value::owned(out))
}

/// A duration as Go prints it: `45s`, `1m0s`, `1.5s`, `20ms`.
pub(crate) fn go_duration(nanos: i128) -> String {
    let (sign, nanos) = if nanos < 0 { ("-", -nanos) } else { ("", nanos) };
    #[expect(clippy::cast_precision_loss, reason = "below a second, exact in a float")]
    let unit = |size: i128, name: &str| format!("{sign}{}{name}", go_float(nanos as f64 / size as f64));
    match nanos {
        0 => return "0s".to_owned(),
        1..1_000 => return format!("{sign}{nanos}ns"),
        1_000..1_000_000 => return unit(1_000, "µs"),
        1_000_000..1_000_000_000 => return unit(1_000_000, "ms"),
        _ => {}
    }
    let seconds = nanos / 1_000_000_000;
    let fraction = nanos % 1_000_000_000;
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let dot = if fraction == 0 { String::new() } else { format!(".{fraction:09}").trim_end_matches('0').to_owned() };
    match (h, m) {
        (0, 0) => format!("{sign}{s}{dot}s"),
        (0, _) => format!("{sign}{m}m{s}{dot}s"),
        _ => format!("{sign}{h}h{m}m{s}{dot}s"),
    }
}

/// Drops nulls and what they leave empty, at every depth.
pub(super) fn without_nulls(json: Json) -> Option<Json> {
    match json {
        Json::Null => None,
        Json::Object(map) => {
            let kept: apimachinery::value::Map =
                map.into_iter().filter_map(|(k, v)| without_nulls(v).map(|v| (k, v))).collect();
            if kept.is_empty() { None } else { Some(Json::Object(kept)) }
        }
        Json::Array(items) => {
            let kept: Vec<_> = items.into_iter().filter_map(without_nulls).collect();
            if kept.is_empty() { None } else { Some(Json::Array(kept.into())) }
        }
        other => Some(other),
    }
}
