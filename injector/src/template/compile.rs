//! From `gotmpl`'s syntax tree to ours: functions, variables and named templates are resolved here, once.

use std::collections::BTreeMap;

use gotmpl::parse::{self as ast, Parser};

use super::Error;
use crate::funcs::{self, Function};

/// A template and the named templates defined in it.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) body: Vec<Node>,
    pub(super) defines: Vec<Vec<Node>>,
}

/// A field path after a value: `.A.B`.
pub(super) type Path = Vec<Box<str>>;

#[derive(Debug, Clone)]
pub(super) enum Node {
    Text(Box<str>),
    Print(Pipe),
    If { pipe: Pipe, body: Vec<Node>, otherwise: Vec<Node> },
    With { pipe: Pipe, body: Vec<Node>, otherwise: Vec<Node> },
    Range(Range),
    Call { define: usize, pipe: Option<Pipe> },
    Break,
    Continue,
}

/// `range`, with one or two variables that are declared (pushed) or assigned (by slot).
#[derive(Debug, Clone)]
pub(super) struct Range {
    pub(super) pipe: Pipe,
    pub(super) declared: usize,
    pub(super) assigned: Vec<usize>,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

#[derive(Debug, Clone)]
pub(super) struct Pipe {
    pub(super) line: usize,
    pub(super) target: Target,
    pub(super) commands: Vec<Command>,
}

/// Where a pipeline's value goes: printed or used, a new variable, or an existing one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Use,
    Declare,
    Assign(usize),
}

#[derive(Debug, Clone)]
pub(super) enum Command {
    Value(Expr),
    Call(Call),
}

#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) line: usize,
    pub(super) function: &'static Function,
    pub(super) args: Vec<Expr>,
    pub(super) then: Path,
}

#[derive(Debug, Clone)]
pub(super) enum Expr {
    Dot,
    Nil,
    Field(Path),
    Variable(usize, Path),
    String(Box<str>),
    Int(i64),
    Float(f64),
    Bool(bool),
    Pipe(Box<Pipe>, Path),
    Call(Box<Call>),
}

pub(super) fn compile(name: &str, text: &str, delimiters: (&str, &str)) -> Result<Program, Error> {
    let plain = super::comments::without_comments(text, delimiters);
    let broken = |e: gotmpl::TemplateError| syntax_error(name, text, &e);
    let parser = Parser::with_name(None, &plain, delimiters.0, delimiters.1).map_err(broken)?;
    let (tree, defines) = parser.parse().map_err(broken)?;
    // As in Go, an empty definition never replaces another one.
    let mut index: BTreeMap<&str, usize> = BTreeMap::new();
    let mut bodies: Vec<&ast::ListNode> = Vec::new();
    for define in &defines {
        match index.get(define.name.as_str()) {
            Some(&i) if !define.body.is_empty_tree() => {
                if bodies.get(i).is_some_and(|b| !b.is_empty_tree()) {
                    let message = format!("template {:?} is defined twice", define.name.as_str());
                    return Err(Error { name: name.to_owned(), line: define.pos.line, message });
                }
                if let Some(slot) = bodies.get_mut(i) {
                    *slot = &define.body;
                }
            }
            Some(_) => {}
            None => {
                index.insert(define.name.as_str(), bodies.len());
                bodies.push(&define.body);
            }
        }
    }
    let mut compiler = Compiler { name, text, delimiters, defines: &index, scope: Vec::new(), depth: 0, loops: 0 };
    let body = compiler.whole(&tree)?;
    let defines = bodies.into_iter().map(|b| compiler.whole(b)).collect::<Result<_, _>>()?;
    Ok(Program { body, defines })
}

fn syntax_error(name: &str, text: &str, error: &gotmpl::TemplateError) -> Error {
    let (line, message) = match error {
        gotmpl::TemplateError::Parse { line, message, .. } | gotmpl::TemplateError::Lex { line, message, .. } => {
            (*line, message.clone())
        }
        other => (1, other.to_string()),
    };
    Error { name: name.to_owned(), line, message: format!("{message}; the line is {:?}", source_line(text, line)) }
}

/// The offending line, without the blanks around it and of bearable length.
fn source_line(text: &str, line: usize) -> String {
    let found = text.lines().nth(line.saturating_sub(1)).unwrap_or_default().trim();
    if found.chars().count() <= 160 { found.to_owned() } else { found.chars().take(157).chain("...".chars()).collect() }
}

/// Deeper nesting of blocks and parentheses than any template has; keeps recursion off the end of the stack.
const MAX_NESTING: usize = 100;

struct Compiler<'s> {
    name: &'s str,
    text: &'s str,
    delimiters: (&'s str, &'s str),
    defines: &'s BTreeMap<&'s str, usize>,
    /// The variables in scope; a variable's slot is its index. Slot 0 is `$`.
    scope: Vec<String>,
    depth: usize,
    loops: usize,
}

impl Compiler<'_> {
    fn error(&self, line: usize, message: impl Into<String>) -> Error {
        let message = format!("{}; the line is {:?}", message.into(), source_line(self.text, line));
        Error { name: self.name.to_owned(), line, message }
    }

    fn whole(&mut self, list: &ast::ListNode) -> Result<Vec<Node>, Error> {
        self.scope = vec!["$".to_owned()];
        self.list(list)
    }

    fn nested<T>(&mut self, line: usize, f: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth >= MAX_NESTING {
            return Err(self.error(line, format!("nested more than {MAX_NESTING} deep")));
        }
        self.depth += 1;
        let out = f(self);
        self.depth -= 1;
        out
    }

    fn list(&mut self, list: &ast::ListNode) -> Result<Vec<Node>, Error> {
        let mut out = Vec::with_capacity(list.nodes.len());
        for node in &list.nodes {
            self.node(node, &mut out)?;
        }
        Ok(out)
    }

    fn node(&mut self, node: &ast::Node, out: &mut Vec<Node>) -> Result<(), Error> {
        match node {
            ast::Node::List(list) => out.extend(self.list(list)?),
            ast::Node::Text(text) => out.push(Node::Text(Box::from(&*text.text))),
            ast::Node::Action(action) => out.push(Node::Print(self.pipe(&action.pipe)?)),
            ast::Node::If(branch) => {
                let (pipe, body, otherwise) = self.branch(branch)?;
                out.push(Node::If { pipe, body, otherwise });
            }
            ast::Node::With(branch) => {
                let (pipe, body, otherwise) = self.branch(branch)?;
                out.push(Node::With { pipe, body, otherwise });
            }
            ast::Node::Range(branch) => out.push(Node::Range(self.range(branch)?)),
            ast::Node::Template(call) => {
                let Some(&define) = self.defines.get(call.name.as_str()) else {
                    return Err(self.error(call.pos.line, format!("template {:?} is not defined", call.name.as_str())));
                };
                let pipe = call.pipe.as_ref().map(|p| self.pipe(p)).transpose()?;
                out.push(Node::Call { define, pipe });
            }
            ast::Node::Define(_) => {}
            ast::Node::Break(pos) | ast::Node::Continue(pos) if self.loops == 0 => {
                return Err(self.error(pos.line, "break or continue outside of range"));
            }
            ast::Node::Break(_) => out.push(Node::Break),
            ast::Node::Continue(_) => out.push(Node::Continue),
        }
        Ok(())
    }

    fn branch(&mut self, branch: &ast::BranchNode) -> Result<(Pipe, Vec<Node>, Vec<Node>), Error> {
        self.nested(branch.pos.line, |c| {
            let mark = c.scope.len();
            let pipe = c.pipe(&branch.pipe)?;
            let inner = c.scope.len();
            let body = c.list(&branch.body)?;
            c.scope.truncate(inner);
            let otherwise = branch.else_body.as_ref().map(|l| c.list(l)).transpose()?.unwrap_or_default();
            c.scope.truncate(mark);
            Ok((pipe, body, otherwise))
        })
    }

    fn range(&mut self, branch: &ast::BranchNode) -> Result<Range, Error> {
        self.nested(branch.pos.line, |c| {
            let mark = c.scope.len();
            let line = branch.pipe.pos.line;
            let commands = c.commands(&branch.pipe)?;
            let pipe = Pipe { line, target: Target::Use, commands };
            let (mut declared, mut assigned) = (0, Vec::new());
            for name in &branch.pipe.decl {
                if branch.pipe.is_assign {
                    assigned.push(c.slot(name, line)?);
                } else {
                    c.scope.push(name.to_string());
                    declared += 1;
                }
            }
            if declared.max(assigned.len()) > 2 {
                return Err(c.error(line, "too many variables in range"));
            }
            let inner = c.scope.len();
            c.loops += 1;
            let body = c.list(&branch.body)?;
            c.loops -= 1;
            c.scope.truncate(inner);
            let otherwise = branch.else_body.as_ref().map(|l| c.list(l)).transpose()?.unwrap_or_default();
            c.scope.truncate(mark);
            Ok(Range { pipe, declared, assigned, body, otherwise })
        })
    }

    fn slot(&self, name: &str, line: usize) -> Result<usize, Error> {
        let found = self.scope.iter().rposition(|v| v == name);
        found.ok_or_else(|| self.error(line, format!("undefined variable {name:?}")))
    }

    fn pipe(&mut self, pipe: &ast::PipeNode) -> Result<Pipe, Error> {
        let line = pipe.pos.line;
        let commands = self.commands(pipe)?;
        let target = match (pipe.decl.as_slice(), pipe.is_assign) {
            ([], _) => Target::Use,
            ([name], true) => Target::Assign(self.slot(name, line)?),
            ([name], false) => {
                self.scope.push(name.to_string());
                Target::Declare
            }
            _ => return Err(self.error(line, "only range sets two variables")),
        };
        Ok(Pipe { line, target, commands })
    }

    fn commands(&mut self, pipe: &ast::PipeNode) -> Result<Vec<Command>, Error> {
        self.nested(pipe.pos.line, |c| {
            let mut out = Vec::with_capacity(pipe.commands.len());
            for (i, command) in pipe.commands.iter().enumerate() {
                out.push(c.command(command, i > 0)?);
            }
            if out.is_empty() { Err(c.error(pipe.pos.line, "missing value")) } else { Ok(out) }
        })
    }

    fn command(&mut self, command: &ast::CommandNode, piped: bool) -> Result<Command, Error> {
        let Some((first, rest)) = command.args.split_first() else {
            return Err(self.error(command.pos.line, "empty command"));
        };
        let (name, then) = match first {
            ast::Expr::Identifier(_, name) => (Some(name.as_str()), Path::new()),
            ast::Expr::Chain(_, inner, fields) => match &**inner {
                ast::Expr::Identifier(_, name) => (Some(name.as_str()), path(fields)),
                _ => (None, Path::new()),
            },
            _ => (None, Path::new()),
        };
        if let Some(name) = name {
            let mut call = self.call(name, rest, first.pos().line)?;
            call.then = then;
            return Ok(Command::Call(call));
        }
        if matches!(first, ast::Expr::Nil(_)) {
            return Err(self.error(command.pos.line, "nil is not a command"));
        }
        if piped || !rest.is_empty() {
            return Err(self.error(command.pos.line, "an argument for something that is not a function"));
        }
        Ok(Command::Value(self.expr(first)?))
    }

    fn call(&mut self, name: &str, args: &[ast::Expr], line: usize) -> Result<Call, Error> {
        let Some(function) = funcs::find(name) else {
            let why = funcs::left_out(name).map(|why| format!(" ({why})")).unwrap_or_default();
            let (open, close) = self.delimiters;
            return Err(self.error(line, format!("function {name:?} is not defined{why}, between {open} and {close}")));
        };
        let args = args.iter().map(|a| self.expr(a)).collect::<Result<_, _>>()?;
        Ok(Call { line, function, args, then: Path::new() })
    }

    fn expr(&mut self, expr: &ast::Expr) -> Result<Expr, Error> {
        Ok(match expr {
            ast::Expr::Dot(_) => Expr::Dot,
            ast::Expr::Nil(_) => Expr::Nil,
            ast::Expr::Field(_, fields) => Expr::Field(path(fields)),
            ast::Expr::Variable(pos, name, fields) => Expr::Variable(self.slot(name, pos.line)?, path(fields)),
            ast::Expr::String(_, text) => Expr::String(Box::from(&**text)),
            ast::Expr::Number(_, ast::Number::Int(i)) => Expr::Int(*i),
            ast::Expr::Number(pos, ast::Number::Uint(u)) => {
                return Err(self.error(pos.line, format!("{u} overflows int")));
            }
            ast::Expr::Number(_, ast::Number::Float(f)) => Expr::Float(*f),
            ast::Expr::Bool(_, b) => Expr::Bool(*b),
            ast::Expr::Pipe(_, pipe) => Expr::Pipe(Box::new(self.pipe(pipe)?), Path::new()),
            ast::Expr::Identifier(pos, name) => Expr::Call(Box::new(self.call(name, &[], pos.line)?)),
            ast::Expr::Chain(pos, inner, fields) => match &**inner {
                ast::Expr::Identifier(_, name) => {
                    let mut call = self.call(name, &[], pos.line)?;
                    call.then = path(fields);
                    Expr::Call(Box::new(call))
                }
                ast::Expr::Pipe(_, pipe) => Expr::Pipe(Box::new(self.pipe(pipe)?), path(fields)),
                ast::Expr::Field(_, first) => Expr::Field(path(first).into_iter().chain(path(fields)).collect()),
                ast::Expr::Variable(pos, name, first) => {
                    let all = path(first).into_iter().chain(path(fields)).collect();
                    Expr::Variable(self.slot(name, pos.line)?, all)
                }
                ast::Expr::Dot(_) => Expr::Field(path(fields)),
                _ => return Err(self.error(pos.line, "a field of something that has none")),
            },
        })
    }
}

fn path(fields: &[ast::SmolStr]) -> Path {
    fields.iter().map(|f| Box::from(f.as_str())).collect()
}
