//! Sprig's arithmetic.

use super::{Context, Function, MANY, any, strval};
use crate::value::Value;

type Out<'a> = Result<Value<'a>, String>;

pub(super) static TABLE: &[Function] = &[
    Function::new("add", 0, MANY, |_, a| fold(a, 0, i64::wrapping_add)),
    Function::new("mul", 1, MANY, |_, a| fold(a, 1, i64::wrapping_mul)),
    Function::new("add1", 1, 1, |_, a| Ok(Value::Int(to_int(&any(a, 0)).wrapping_add(1)))),
    Function::new("sub", 2, 2, |_, a| Ok(Value::Int(to_int(&any(a, 0)).wrapping_sub(to_int(&any(a, 1)))))),
    Function::new("div", 2, 2, |_, a| {
        let out = to_int(&any(a, 0)).checked_div(to_int(&any(a, 1)));
        out.map(Value::Int).ok_or_else(|| "division by zero".to_owned())
    }),
    Function::new("mod", 2, 2, |_, a| {
        let out = to_int(&any(a, 0)).checked_rem(to_int(&any(a, 1)));
        out.map(Value::Int).ok_or_else(|| "division by zero".to_owned())
    }),
    Function::new("max", 1, MANY, |_, a| Ok(Value::Int(a.iter().map(to_int).max().unwrap_or(0)))),
    Function::new("biggest", 1, MANY, |_, a| Ok(Value::Int(a.iter().map(to_int).max().unwrap_or(0)))),
    Function::new("min", 1, MANY, |_, a| Ok(Value::Int(a.iter().map(to_int).min().unwrap_or(0)))),
    Function::new("int", 1, 1, |_, a| Ok(Value::Int(to_int(&any(a, 0))))),
    Function::new("int64", 1, 1, |_, a| Ok(Value::Int(to_int(&any(a, 0))))),
    Function::new("float64", 1, 1, |_, a| Ok(Value::Float(to_float(&any(a, 0))))),
    Function::new("atoi", 1, 1, |_, a| Ok(Value::Int(strval(&any(a, 0)).parse().unwrap_or(0)))),
    Function::new("toDecimal", 1, 1, |_, a| Ok(Value::Int(i64::from_str_radix(&strval(&any(a, 0)), 8).unwrap_or(0)))),
    Function::new("ceil", 1, 1, |_, a| Ok(Value::Float(to_float(&any(a, 0)).ceil()))),
    Function::new("floor", 1, 1, |_, a| Ok(Value::Float(to_float(&any(a, 0)).floor()))),
    Function::new("round", 2, 3, |_, a| {
        let places = to_int(&any(a, 1)).clamp(-15, 15);
        let round_on = a.get(2).map_or(0.5, to_float);
        let power = 10f64.powi(i32::try_from(places).unwrap_or(0));
        let scaled = to_float(&any(a, 0)) * power;
        let up = scaled.fract().abs() >= round_on;
        Ok(Value::Float(if up { scaled.ceil() } else { scaled.floor() } / power))
    }),
    Function::new("add1f", 1, 1, |_, a| Ok(Value::Float(to_float(&any(a, 0)) + 1.0))),
    Function::new("addf", 1, MANY, |_, a| foldf(a, |x, y| x + y)),
    Function::new("subf", 1, MANY, |_, a| foldf(a, |x, y| x - y)),
    Function::new("mulf", 1, MANY, |_, a| foldf(a, |x, y| x * y)),
    Function::new("divf", 1, MANY, |_, a| foldf(a, |x, y| x / y)),
    Function::new("maxf", 1, MANY, |_, a| foldf(a, f64::max)),
    Function::new("minf", 1, MANY, |_, a| foldf(a, f64::min)),
    Function::new("until", 1, 1, |_, a| {
        let end = to_int(&any(a, 0));
        steps(0, end, if end < 0 { -1 } else { 1 })
    }),
    Function::new("untilStep", 3, 3, |_, a| steps(to_int(&any(a, 0)), to_int(&any(a, 1)), to_int(&any(a, 2)))),
    Function::new("seq", 0, 3, seq),
];

/// Any value as an integer: text is parsed, fractions are cut, nonsense is 0.
fn to_int(value: &Value<'_>) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "sprig cuts fractions; Rust saturates")]
    match value {
        Value::Int(i) => *i,
        Value::Float(f) => *f as i64,
        Value::Bool(b) => i64::from(*b),
        Value::String(s) => {
            let s = s.trim();
            s.parse().unwrap_or_else(|_| s.parse::<f64>().map_or(0, |f| f as i64))
        }
        _ => 0,
    }
}

fn to_float(value: &Value<'_>) -> f64 {
    match value {
        Value::Float(f) => *f,
        Value::String(s) => s.trim().parse().unwrap_or(0.0),
        #[expect(clippy::cast_precision_loss, reason = "as in Go")]
        other => to_int(other) as f64,
    }
}

fn fold<'a>(a: &[Value<'a>], start: i64, f: fn(i64, i64) -> i64) -> Out<'a> {
    Ok(Value::Int(a.iter().map(to_int).fold(start, f)))
}

fn foldf<'a>(a: &[Value<'a>], f: fn(f64, f64) -> f64) -> Out<'a> {
    Ok(Value::Float(a.iter().map(to_float).reduce(f).unwrap_or(0.0)))
}

/// Lists of numbers longer than this are refused.
const MAX_STEPS: usize = 100_000;

fn numbers(start: i64, end: i64, step: i64) -> Result<Vec<i64>, String> {
    let mut out = Vec::new();
    if step == 0 {
        return Ok(out);
    }
    let mut at = start;
    while if step > 0 { at < end } else { at > end } {
        if out.len() >= MAX_STEPS {
            return Err(format!("more than {MAX_STEPS} numbers"));
        }
        out.push(at);
        let Some(next) = at.checked_add(step) else { break };
        at = next;
    }
    Ok(out)
}

fn steps<'a>(start: i64, end: i64, step: i64) -> Out<'a> {
    Ok(Value::list(numbers(start, end, step)?.into_iter().map(Value::Int).collect()))
}

/// `seq 5`, `seq 2 5`, `seq 0 2 10`: like the shell's, as text.
fn seq<'a>(_: &Context<'_>, a: &[Value<'a>]) -> Out<'a> {
    let n: Vec<i64> = a.iter().map(to_int).collect();
    let (start, step, last) = match n.as_slice() {
        [] => return Ok(Value::text("")),
        [last] => (1, if *last < 1 { -1 } else { 1 }, *last),
        [start, last] => (*start, if last < start { -1 } else { 1 }, *last),
        [start, step, last, ..] => (*start, *step, *last),
    };
    let end = if step < 0 { last.saturating_sub(1) } else { last.saturating_add(1) };
    let all = numbers(start, end, step)?;
    Ok(Value::owned(all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")))
}
