//! Type checking as far as kube-apiserver's messages need it: unknown names, unknown fields of `request`, and what type a
//! condition has. The library has no checker; what this one does not know is `dyn`.

mod types;

use std::collections::BTreeMap;

use kube_cel::cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use kube_cel::cel::parser::Parser;

pub(crate) use types::Ty;
use types::{FIELDS, named, result_of};

/// What an expression may refer to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    names: Vec<&'static str>,
    /// A policy's own variables with their types, as `variables.NAME`.
    composed: BTreeMap<String, Ty>,
}

impl Environment {
    /// What match conditions of webhooks see.
    pub(crate) fn new() -> Self {
        Self {
            names: vec!["object", "oldObject", "request", "authorizer", "namespaceObject"],
            composed: BTreeMap::new(),
        }
    }

    /// With the parameters of a policy.
    pub(crate) fn with_params(mut self) -> Self {
        self.names.push("params");
        self
    }

    /// With `variables`, which has none yet.
    pub(crate) fn with_variables(mut self) -> Self {
        self.names.push("variables");
        self
    }

    /// As it is, without the authorizer.
    pub(crate) fn without_authorizer(&self) -> Self {
        let mut other = self.clone();
        other.names.retain(|name| *name != "authorizer");
        other
    }

    /// Adds a variable of the policy's own.
    pub(crate) fn declare(&mut self, name: &str, ty: Ty) {
        self.composed.insert(name.to_owned(), ty);
    }
}

/// Checks an expression against what it may refer to and the types that it may have; `dyn` is none of them.
///
/// # Errors
/// `compilation failed: ERROR: <input>:1:8: undefined field 'foo' …` or `must evaluate to bool but got int`.
pub(crate) fn check(source: &str, environment: &Environment, wanted: &[Ty]) -> Result<(), String> {
    let ty = type_of(source, environment)?;
    if wanted.contains(&ty) {
        return Ok(());
    }
    let texts: Vec<_> = wanted.iter().map(Ty::text).collect();
    let wanted = if let [one] = texts.as_slice() { one.clone() } else { format!("one of [{}]", texts.join(" ")) };
    Err(format!("must evaluate to {wanted} but got {}", ty.text()))
}

/// The static type of an expression.
///
/// # Errors
/// `compilation failed: …`
pub(crate) fn type_of(source: &str, environment: &Environment) -> Result<Ty, String> {
    let root = Parser::new().enable_optional_syntax(true).parse(source).map_err(|errors| {
        let each = errors.errors.iter().map(|error| {
            let line = usize::try_from(error.pos.0).unwrap_or(1);
            let column = usize::try_from(error.pos.1).unwrap_or(1);
            at(source, line, column, &error.msg)
        });
        format!("compilation failed: {}", each.collect::<Vec<_>>().join("\n"))
    })?;
    let mut checker = Checker { source, environment, scope: Vec::new(), errors: Vec::new(), reported: Vec::new() };
    let ty = checker.infer(&root);
    if !checker.errors.is_empty() {
        return Err(format!("compilation failed: {}", checker.errors.join("\n")));
    }
    Ok(ty)
}

/// An error with its place, as cel-go shows it.
fn at(source: &str, line: usize, column: usize, message: &str) -> String {
    let text = source.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let dots = ".".repeat(column.saturating_sub(1));
    format!("ERROR: <input>:{line}:{column}: {message}\n | {text}\n | {dots}^")
}

struct Checker<'a> {
    source: &'a str,
    environment: &'a Environment,
    /// Variables of comprehensions around the place.
    scope: Vec<(String, Ty)>,
    errors: Vec<String>,
    /// Names reported so far: the next report of one is about its next occurrence.
    reported: Vec<String>,
}

impl Checker<'_> {
    fn infer(&mut self, expression: &IdedExpr) -> Ty {
        match &expression.expr {
            Expr::Unspecified => Ty::Dyn,
            Expr::Literal(literal) => match literal {
                LiteralValue::Boolean(_) => Ty::Bool,
                LiteralValue::Bytes(_) => Ty::Bytes,
                LiteralValue::Double(_) => Ty::Double,
                LiteralValue::Int(_) => Ty::Int,
                LiteralValue::Null => Ty::Null,
                LiteralValue::String(_) => Ty::String,
                LiteralValue::UInt(_) => Ty::Uint,
            },
            Expr::Ident(name) => self.ident(name),
            Expr::Select(select) => {
                let operand = self.infer(&select.operand);
                let own = matches!(&select.operand.expr, Expr::Ident(name) if self.is_variables(name));
                let field = if own { self.composed(&select.field) } else { self.select(&operand, &select.field) };
                if select.test { Ty::Bool } else { field }
            }
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                let mut of: Option<Ty> = None;
                for element in &list.elements {
                    let ty = self.infer(element);
                    of = Some(match of {
                        Some(before) if before != ty => Ty::Dyn,
                        _ => ty,
                    });
                }
                Ty::List(Box::new(of.unwrap_or(Ty::Dyn)))
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.infer(&entry.key);
                        self.infer(&entry.value);
                    }
                }
                Ty::Map(Box::new(Ty::Dyn), Box::new(Ty::Dyn))
            }
            Expr::Comprehension(comprehension) => {
                let range = self.infer(&comprehension.iter_range);
                let item = match &range {
                    Ty::List(of) => (**of).clone(),
                    Ty::Map(key, _) => (**key).clone(),
                    _ => Ty::Dyn,
                };
                let init = self.infer(&comprehension.accu_init);
                let depth = self.scope.len();
                self.scope.push((comprehension.iter_var.clone(), item));
                self.scope.extend(comprehension.iter_var2.iter().map(|name| (name.clone(), Ty::Dyn)));
                self.scope.push((comprehension.accu_var.clone(), init.clone()));
                let step = self.infer(&comprehension.loop_step);
                // A list starts empty; its steps say what of.
                let accumulated = if matches!(init, Ty::List(_)) { step } else { init };
                if let Some(accu) = self.scope.last_mut() {
                    accu.1 = accumulated;
                }
                let result = self.infer(&comprehension.result);
                self.scope.truncate(depth);
                result
            }
            Expr::Struct(message) => Ty::Named(if message.type_name == "JSONPatch" { "JSONPatch" } else { "Object" }),
        }
    }

    /// Whether a name stands for the policy's own variables.
    fn is_variables(&self, name: &str) -> bool {
        name == "variables"
            && self.environment.names.contains(&name)
            && !self.scope.iter().any(|(known, _)| known == name)
    }

    fn composed(&mut self, name: &str) -> Ty {
        if let Some(ty) = self.environment.composed.get(name) {
            return ty.clone();
        }
        self.report(name, true, &format!("undefined field '{name}'"));
        Ty::Dyn
    }

    fn ident(&mut self, name: &str) -> Ty {
        if let Some((_, ty)) = self.scope.iter().rev().find(|(known, _)| known == name) {
            return ty.clone();
        }
        if self.environment.names.contains(&name) {
            return match name {
                "request" => Ty::Named("kubernetes.AdmissionRequest"),
                "authorizer" => Ty::Named("kubernetes.authorization.Authorizer"),
                "namespaceObject" => Ty::Named("kubernetes.Namespace"),
                _ => Ty::Dyn,
            };
        }
        let types = ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type"];
        // Names that macros make, and qualified function names such as `math` in `math.abs`.
        if name.starts_with('@') || name.starts_with("__") || types.contains(&name) {
            return Ty::Dyn;
        }
        self.report(name, false, &format!("undeclared reference to '{name}' (in container '')"));
        Ty::Dyn
    }

    fn select(&mut self, operand: &Ty, field: &str) -> Ty {
        match operand {
            Ty::Map(_, value) => (**value).clone(),
            Ty::Optional(_) => Ty::Optional(Box::new(Ty::Dyn)),
            Ty::Named(name) if FIELDS.iter().any(|(of, ..)| of == name) => {
                match FIELDS.iter().find(|(of, known, _)| of == name && *known == field) {
                    Some((.., ty)) => named(ty),
                    None => {
                        self.report(field, true, &format!("undefined field '{field}'"));
                        Ty::Dyn
                    }
                }
            }
            Ty::Dyn => Ty::Dyn,
            other => {
                let message = format!("type '{}' does not support field selection", other.text());
                self.report(field, true, &message);
                Ty::Dyn
            }
        }
    }

    fn call(&mut self, call: &CallExpr) -> Ty {
        let qualified = call.target.as_deref().and_then(|target| match &target.expr {
            Expr::Ident(namespace) => Some(format!("{namespace}.{}", call.func_name)),
            _ => None,
        });
        if let Some(ty) = qualified.as_deref().and_then(result_of) {
            call.args.iter().for_each(|arg| drop(self.infer(arg)));
            return ty;
        }
        let target = call.target.as_deref().map(|target| self.infer(target));
        let args: Vec<Ty> = call.args.iter().map(|arg| self.infer(arg)).collect();
        let first = args.first().cloned().unwrap_or(Ty::Dyn);
        let second = args.get(1).cloned().unwrap_or(Ty::Dyn);
        match call.func_name.as_str() {
            operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT => {
                if args.iter().any(|ty| !ty.is_dyn() && *ty != Ty::Bool) {
                    self.no_overload(&call.func_name, &args);
                }
                Ty::Bool
            }
            operators::EQUALS | operators::NOT_EQUALS => {
                if !comparable(&first, &second) {
                    self.no_overload(&call.func_name, &args);
                }
                Ty::Bool
            }
            operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS => {
                let numbers = [Ty::Int, Ty::Uint, Ty::Double];
                let both = numbers.contains(&first) && numbers.contains(&second);
                if !both && !comparable(&first, &second) {
                    self.no_overload(&call.func_name, &args);
                }
                Ty::Bool
            }
            operators::IN => {
                let fits = match &second {
                    Ty::List(of) => comparable(&first, of),
                    Ty::Map(key, _) => comparable(&first, key),
                    other => other.is_dyn(),
                };
                if !fits {
                    self.no_overload(&call.func_name, &args);
                }
                Ty::Bool
            }
            operators::CONDITIONAL => {
                let third = args.get(2).cloned().unwrap_or(Ty::Dyn);
                if !(first.is_dyn() || first == Ty::Bool) || !comparable(&second, &third) {
                    self.no_overload(&call.func_name, &args);
                }
                if second == third { second } else { Ty::Dyn }
            }
            operators::INDEX => match first {
                Ty::List(of) => *of,
                Ty::Map(_, value) => *value,
                _ => Ty::Dyn,
            },
            operators::OPT_INDEX | operators::OPT_SELECT => Ty::Optional(Box::new(Ty::Dyn)),
            operators::NEGATE => {
                if !matches!(first, Ty::Dyn | Ty::Int | Ty::Double) {
                    self.no_overload(&call.func_name, &args);
                }
                first
            }
            "startsWith" | "endsWith" | "contains" | "matches" if args.len() == 1 => {
                let text = |ty: &Ty| ty.is_dyn() || *ty == Ty::String;
                if let Some(target) = target.filter(|target| !text(target) || !text(&first)) {
                    let applied = format!("{}.({})", target.text(), first.text());
                    let message = format!("found no matching overload for '{}' applied to '{applied}'", call.func_name);
                    let name = &call.func_name;
                    let place = occurrences(self.source, name).next().map_or(0, |(start, _)| start + name.len());
                    self.push(place, &message);
                }
                Ty::Bool
            }
            operators::ADD | operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO => {
                match (&first, &second) {
                    (Ty::Dyn, _) | (_, Ty::Dyn) => {
                        if first.is_dyn() {
                            second
                        } else {
                            first
                        }
                    }
                    (left, right) if left == right => first,
                    (Ty::List(_), Ty::List(_)) => Ty::List(Box::new(Ty::Dyn)),
                    (Ty::Named(_), _) | (_, Ty::Named(_)) => Ty::Dyn,
                    _ => {
                        self.no_overload(&call.func_name, &args);
                        Ty::Dyn
                    }
                }
            }
            "@not_strictly_false" | "__not_strictly_false__" => Ty::Bool,
            "orValue" => match target {
                Some(Ty::Optional(of)) if *of != Ty::Dyn => *of,
                _ => first,
            },
            name => match result_of(name) {
                Some(ty) => ty,
                None => {
                    self.report_call(name);
                    Ty::Dyn
                }
            },
        }
    }

    fn no_overload(&mut self, operator: &str, args: &[Ty]) {
        let symbol = match operator {
            operators::IN => " in ",
            operators::CONDITIONAL => "?",
            other => other.trim_matches('_'),
        };
        let types: Vec<_> = args.iter().map(Ty::text).collect();
        let message = format!("found no matching overload for '{operator}' applied to '({})'", types.join(", "));
        let place = self.source.find(symbol).unwrap_or_default();
        self.push(place + symbol.len() - symbol.trim_start().len(), &message);
    }

    fn report(&mut self, name: &str, after_dot: bool, message: &str) {
        let key = format!("{after_dot}{name}");
        let nth = self.reported.iter().filter(|seen| **seen == key).count();
        self.reported.push(key);
        let place = occurrences(self.source, name).filter(|(_, dot)| dot.is_some() == after_dot).nth(nth);
        let place = place.map_or(0, |(start, dot)| dot.unwrap_or(start));
        self.push(place, message);
    }

    fn report_call(&mut self, name: &str) {
        let place = occurrences(self.source, name).next().map_or(0, |(start, _)| start + name.len());
        self.push(place, &format!("undeclared reference to '{name}' (in container '')"));
    }

    fn push(&mut self, place: usize, message: &str) {
        let before = self.source.get(..place).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        self.errors.push(at(self.source, line, column, message));
    }
}

fn comparable(left: &Ty, right: &Ty) -> bool {
    match (left, right) {
        (Ty::Dyn, _) | (_, Ty::Dyn) | (Ty::Null, _) | (_, Ty::Null) => true,
        (Ty::List(left), Ty::List(right)) => comparable(left, right),
        (Ty::Map(..), Ty::Map(..)) | (Ty::Optional(_), Ty::Optional(_)) => true,
        // Other types have conversions and operators that are not known here.
        (Ty::Named(left), right) | (right, Ty::Named(left)) if is_message(left) => *right == Ty::Named(left),
        (Ty::Named(_), _) | (_, Ty::Named(_)) => true,
        (left, right) => left == right,
    }
}

/// Whether values of a type are objects with fields, which are equal to nothing but their like.
fn is_message(name: &str) -> bool {
    FIELDS.iter().any(|(of, ..)| *of == name)
}

/// Where a name stands as a whole word outside of strings, and the dot before it if there is one.
fn occurrences<'a>(source: &'a str, name: &'a str) -> impl Iterator<Item = (usize, Option<usize>)> + 'a {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = source.as_bytes();
    source.match_indices(name).filter_map(move |(start, _)| {
        let end = start + name.len();
        let whole = (start == 0 || !word(bytes[start - 1])) && bytes.get(end).is_none_or(|byte| !word(*byte));
        let quotes = source[..start].bytes().filter(|byte| matches!(byte, b'"' | b'\'')).count();
        if !whole || quotes % 2 == 1 {
            return None;
        }
        let dot = source[..start].trim_end_matches([' ', '?']).strip_suffix('.').map(str::len);
        Some((start, dot))
    })
}

#[cfg(test)]
mod tests {
    use super::{Environment, Ty, check};

    fn check_condition(source: &str) -> Result<(), String> {
        check(source, &Environment::new(), &[Ty::Bool])
    }

    #[test]
    fn the_variables_of_a_policy_have_types() {
        let mut environment = Environment::new().with_variables();
        environment.declare("many", Ty::Bool);
        assert_eq!(check("variables.many", &environment, &[Ty::Bool]), Ok(()));
        let why = check("variables.few", &environment, &[Ty::Bool]).unwrap_err();
        assert!(why.starts_with("compilation failed: ERROR: <input>:1:10: undefined field 'few'"), "{why}");
        let why = check("1", &environment, &[Ty::String, Ty::Null]).unwrap_err();
        assert_eq!(why, "must evaluate to one of [string null_type] but got int");
        assert!(
            check("authorizer.path('/').check('get').allowed()", &environment.without_authorizer(), &[Ty::Bool])
                .is_err()
        );
    }

    #[test]
    fn conditions_have_to_be_bools() {
        for source in [
            "object.metadata.name == 'a'",
            "!authorizer.group('').resource('pods').check('delete').allowed()",
            "object.?metadata.?labels[?'a'].orValue('') == 'b'",
            "namespaceObject.metadata.name == \"a\"",
            "!('system:nodes' in request.userInfo.groups)",
            "object.spec.containers.all(c, c.name.size() > 0)",
            "has(object.metadata.labels) && 'a' in object.metadata.labels",
            "object.spec.containers.filter(c, c.name == 'app').map(c, c.image).join(',') != ''",
        ] {
            assert_eq!(check_condition(source), Ok(()), "{source}");
        }
    }

    #[test]
    fn messages_are_the_recorded_ones() {
        let cases = [
            ("1 + 1", "must evaluate to bool but got int"),
            (
                "1 in request.userInfo.groups",
                "compilation failed: ERROR: <input>:1:3: found no matching overload for '@in' applied to '(int, list(string))'\n | 1 in request.userInfo.groups\n | ..^",
            ),
            (
                "request.kind == 'Pod'",
                "compilation failed: ERROR: <input>:1:14: found no matching overload for '_==_' applied to '(kubernetes.GroupVersionKind, string)'\n | request.kind == 'Pod'\n | .............^",
            ),
            (
                "request.name.startsWith(1)",
                "compilation failed: ERROR: <input>:1:24: found no matching overload for 'startsWith' applied to 'string.(int)'\n | request.name.startsWith(1)\n | .......................^",
            ),
            (
                "object.x ? true : 1",
                "compilation failed: ERROR: <input>:1:10: found no matching overload for '_?_:_' applied to '(dyn, bool, int)'\n | object.x ? true : 1\n | .........^",
            ),
            ("object.metadata.name", "must evaluate to bool but got dyn"),
            (
                "request.foo == 1",
                "compilation failed: ERROR: <input>:1:8: undefined field 'foo'\n | request.foo == 1\n | .......^",
            ),
            (
                "foo == 1",
                "compilation failed: ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')\n | foo == 1\n | ^",
            ),
            (
                "nope(",
                "compilation failed: ERROR: <input>:1:6: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', ')', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}\n | nope(\n | .....^",
            ),
        ];
        for (source, expected) in cases {
            assert_eq!(check_condition(source), Err(expected.to_owned()), "{source}");
        }
    }
}
