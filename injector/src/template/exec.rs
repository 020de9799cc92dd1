//! Executes a compiled template.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::Error;
use super::compile::{Call, Command, Expr, Node, Path, Pipe, Program, Range, Target};
use crate::funcs::{Body, Context};
use crate::value::{MAX_OUTPUT, Value, format, truth};

/// Functions that walk all of a value without making something of its size.
const WHOLE: &[&str] = &[
    "atoi",
    "deepEqual",
    "duration",
    "has",
    "mustHas",
    "mustUniq",
    "mustWithout",
    "printf",
    "toDecimal",
    "uniq",
    "without",
];

/// Nested `{{template}}` calls.
const MAX_CALLS: usize = 64;

/// Why execution left a node early.
enum Stop {
    Break,
    Continue,
    Fail(Box<Error>),
}

type Run<T> = Result<T, Stop>;

pub(super) fn run<'a>(
    name: &str,
    program: &'a Program,
    data: &Value<'a>,
    context: &Context<'_>,
) -> Result<String, Error> {
    let mut machine = Machine {
        name,
        program,
        context,
        vars: vec![data.clone()],
        out: String::with_capacity(8192),
        changed: BTreeMap::new(),
        calls: 0,
    };
    let done = machine.list(&program.body, data);
    machine.let_go();
    match done {
        Ok(()) | Err(Stop::Break | Stop::Continue) => Ok(machine.out),
        Err(Stop::Fail(e)) => Err(*e),
    }
}

struct Machine<'a, 'c> {
    name: &'c str,
    program: &'a Program,
    context: &'c Context<'c>,
    vars: Vec<Value<'a>>,
    out: String,
    /// Dictionaries that were changed in place, by where they are.
    changed: BTreeMap<usize, Dictionary<'a>>,
    calls: usize,
}

type Dictionary<'a> = Rc<RefCell<BTreeMap<String, Value<'a>>>>;

impl<'a> Machine<'a, '_> {
    fn fail<T>(&self, line: usize, message: impl Into<String>) -> Run<T> {
        Err(Stop::Fail(Box::new(Error { name: self.name.to_owned(), line, message: message.into() })))
    }

    fn step(&mut self, line: usize) -> Run<()> {
        self.context.budget.step().or_else(|message| self.fail(line, message))?;
        if self.out.len() > MAX_OUTPUT {
            return self.fail(line, format!("the template prints more than {MAX_OUTPUT} bytes"));
        }
        Ok(())
    }

    fn weigh(&self, value: &Value<'_>, line: usize) -> Run<()> {
        self.context.budget.weigh(value).or_else(|message| self.fail(line, message))
    }

    /// A function that returns a dictionary it was given may have put things into it: even itself, or so that it is the
    /// first of a long chain. Such ones are remembered, to be taken apart at the end: a circle would never be freed.
    fn note_changes(&mut self, args: &[Value<'a>], result: &Value<'a>) {
        if let Value::Map(map) = result
            && args.iter().any(|arg| matches!(arg, Value::Map(given) if Rc::ptr_eq(given, map)))
        {
            self.changed.entry(Rc::as_ptr(map).addr()).or_insert_with(|| Rc::clone(map));
        }
    }

    /// Takes the dictionaries apart one by one; none is freed within another.
    fn let_go(&mut self) {
        for map in self.changed.values() {
            let taken = std::mem::take(&mut *map.borrow_mut());
            drop(taken);
        }
    }

    fn list(&mut self, nodes: &'a [Node], dot: &Value<'a>) -> Run<()> {
        nodes.iter().try_for_each(|node| self.node(node, dot))
    }

    fn node(&mut self, node: &'a Node, dot: &Value<'a>) -> Run<()> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Print(pipe) => {
                self.step(pipe.line)?;
                let value = self.pipe(pipe, dot)?;
                if pipe.target == Target::Use {
                    self.weigh(&value, pipe.line)?;
                    format::print(&mut self.out, &value);
                }
            }
            Node::If { pipe, body, otherwise } => {
                self.step(pipe.line)?;
                let mark = self.vars.len();
                let yes = truth(&self.pipe(pipe, dot)?);
                self.list(if yes { body } else { otherwise }, dot)?;
                self.vars.truncate(mark);
            }
            Node::With { pipe, body, otherwise } => {
                self.step(pipe.line)?;
                let mark = self.vars.len();
                let value = self.pipe(pipe, dot)?;
                if truth(&value) {
                    self.list(body, &value)?;
                } else {
                    self.list(otherwise, dot)?;
                }
                self.vars.truncate(mark);
            }
            Node::Range(range) => self.range(range, dot)?,
            Node::Call { define, pipe } => self.call_template(*define, pipe.as_ref(), dot)?,
            Node::Break => return Err(Stop::Break),
            Node::Continue => return Err(Stop::Continue),
        }
        Ok(())
    }

    fn call_template(&mut self, define: usize, pipe: Option<&'a Pipe>, dot: &Value<'a>) -> Run<()> {
        let line = pipe.map_or(0, |p| p.line);
        self.step(line)?;
        // Without an argument Go hands nil to the called template.
        let value = pipe.map(|p| self.pipe(p, dot)).transpose()?.unwrap_or(Value::Nil);
        if self.calls >= MAX_CALLS {
            return self.fail(line, format!("templates call each other more than {MAX_CALLS} deep"));
        }
        let Some(body) = self.program.defines.get(define) else { return Ok(()) };
        self.calls += 1;
        let saved = std::mem::replace(&mut self.vars, vec![value.clone()]);
        let done = self.list(body, &value);
        self.vars = saved;
        self.calls -= 1;
        done
    }

    fn range(&mut self, range: &'a Range, dot: &Value<'a>) -> Run<()> {
        let line = range.pipe.line;
        self.step(line)?;
        let mark = self.vars.len();
        let value = self.pipe(&range.pipe, dot)?;
        let items = match value.items() {
            Ok(items) => items,
            Err(message) => return self.fail(line, message),
        };
        if items.is_empty() {
            self.vars.extend(std::iter::repeat_n(Value::Nil, range.declared));
            self.list(&range.otherwise, dot)?;
            self.vars.truncate(mark);
            return Ok(());
        }
        for (key, item) in items {
            self.step(line)?;
            match range.declared {
                1 => self.vars.push(item.clone()),
                2 => self.vars.extend([key, item.clone()]),
                _ => match range.assigned.as_slice() {
                    [one] => self.set(*one, item.clone()),
                    [one, two] => {
                        self.set(*one, key);
                        self.set(*two, item.clone());
                    }
                    _ => {}
                },
            }
            let done = self.list(&range.body, &item);
            self.vars.truncate(mark);
            match done {
                Ok(()) | Err(Stop::Continue) => {}
                Err(Stop::Break) => break,
                Err(fail) => return Err(fail),
            }
        }
        Ok(())
    }

    fn set(&mut self, slot: usize, value: Value<'a>) {
        if let Some(place) = self.vars.get_mut(slot) {
            *place = value;
        }
    }

    fn pipe(&mut self, pipe: &'a Pipe, dot: &Value<'a>) -> Run<Value<'a>> {
        let mut value = None;
        for command in &pipe.commands {
            value = Some(match command {
                Command::Value(expr) => self.expr(expr, dot, pipe.line)?,
                Command::Call(call) => self.call(call, dot, value.take())?,
            });
        }
        let value = value.unwrap_or(Value::Nil);
        match pipe.target {
            Target::Use => {}
            Target::Declare => self.vars.push(value.clone()),
            Target::Assign(slot) => self.set(slot, value.clone()),
        }
        Ok(value)
    }

    fn call(&mut self, call: &'a Call, dot: &Value<'a>, piped: Option<Value<'a>>) -> Run<Value<'a>> {
        let value = match call.function.body {
            Body::And => self.short_circuit(call, dot, piped, false)?,
            Body::Or => self.short_circuit(call, dot, piped, true)?,
            Body::Plain(body) => {
                let mut args = Vec::with_capacity(call.args.len() + 1);
                for arg in &call.args {
                    args.push(self.expr(arg, dot, call.line)?);
                }
                args.extend(piped);
                let f = call.function;
                if args.len() < f.min || args.len() > f.max {
                    let want = if f.max == usize::MAX { format!("at least {}", f.min) } else { f.min.to_string() };
                    return self.fail(
                        call.line,
                        format!("wrong number of arguments for {}: want {want}, got {}", f.name, args.len()),
                    );
                }
                for arg in &args {
                    self.weigh(arg, call.line)?;
                }
                if WHOLE.contains(&f.name) {
                    let paid = args.iter().try_for_each(|arg| self.context.budget.weigh_whole(arg));
                    paid.or_else(|message| self.fail(call.line, message))?;
                }
                match body(self.context, &args) {
                    Ok(value) => {
                        self.note_changes(&args, &value);
                        self.weigh(&value, call.line)?;
                        value
                    }
                    Err(message) => return self.fail(call.line, format!("{}: {message}", f.name)),
                }
            }
        };
        self.fields(value, &call.then, call.line)
    }

    /// `and` and `or`: the first argument that decides, else the last one.
    fn short_circuit(
        &mut self,
        call: &'a Call,
        dot: &Value<'a>,
        piped: Option<Value<'a>>,
        decisive: bool,
    ) -> Run<Value<'a>> {
        let mut last = None;
        for arg in &call.args {
            let value = self.expr(arg, dot, call.line)?;
            if truth(&value) == decisive {
                return Ok(value);
            }
            last = Some(value);
        }
        match piped.or(last) {
            Some(value) => Ok(value),
            None => {
                self.fail(call.line, format!("wrong number of arguments for {}: want at least 1", call.function.name))
            }
        }
    }

    fn expr(&mut self, expr: &'a Expr, dot: &Value<'a>, line: usize) -> Run<Value<'a>> {
        match expr {
            Expr::Dot => Ok(dot.clone()),
            Expr::Nil => Ok(Value::Nil),
            Expr::Field(path) => self.walk(dot, path, line),
            Expr::Variable(slot, path) => {
                let value = self.vars.get(*slot).cloned().unwrap_or(Value::Nil);
                self.fields(value, path, line)
            }
            Expr::String(text) => Ok(Value::text(text)),
            Expr::Int(i) => Ok(Value::Int(*i)),
            Expr::Float(f) => Ok(Value::Float(*f)),
            Expr::Bool(b) => Ok(Value::Bool(*b)),
            Expr::Pipe(pipe, path) => {
                let value = self.pipe(pipe, dot)?;
                self.fields(value, path, line)
            }
            Expr::Call(call) => self.call(call, dot, None),
        }
    }

    fn walk(&self, from: &Value<'a>, path: &'a Path, line: usize) -> Run<Value<'a>> {
        match path.split_first() {
            None => Ok(from.clone()),
            Some((first, rest)) => match from.field(first) {
                Ok(value) => self.fields(value, rest, line),
                Err(message) => self.fail(line, message),
            },
        }
    }

    fn fields(&self, mut value: Value<'a>, path: &'a [Box<str>], line: usize) -> Run<Value<'a>> {
        for name in path {
            value = match value.field(name) {
                Ok(value) => value,
                Err(message) => return self.fail(line, message),
            };
        }
        Ok(value)
    }
}
