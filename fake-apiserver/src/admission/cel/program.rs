//! One expression: compiled once, evaluated within a budget.

use std::sync::{Arc, Mutex, PoisonError};

use kube_cel::KubeCelExt as _;
use kube_cel::cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, LiteralValue, MapEntryExpr, MapExpr,
    operators,
};
use kube_cel::cel::common::types::CelBool;
use kube_cel::cel::parser::Parser;
use kube_cel::cel::{Context, ExecutionError, Value as Cel};

use super::super::attributes::UserInfo;
use super::super::cluster::Cluster;
use super::functions::{self, Decisions};

/// Cost of one expression at most (kube-apiserver's per-call limit).
const PER_CALL_LIMIT: i64 = 1_000_000;
/// What turns of comprehensions call before each step.
const CHARGE: &str = "@charge";
/// Selection and index that yield an optional.
const SELECT_OPTIONAL: &str = "@optional";
/// Selection that fails on what has no fields.
const SELECT: &str = "@select";
/// Variables that always hold a map, or null.
const MAPS: [&str; 6] = ["object", "oldObject", "request", "authorizer", "params", "variables"];
/// Questions that one expression may ask the authorizer.
const MAX_QUESTIONS: usize = 64;

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Program {
    root: IdedExpr,
    /// Cost of everything outside of comprehensions.
    base: i64,
}

/// What an evaluation may still cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget(pub(crate) i64);

/// What an expression sees.
pub(crate) struct Variables<'a> {
    /// Names and values.
    pub(crate) values: Vec<(&'static str, Cel)>,
    pub(crate) user: &'a UserInfo,
    pub(crate) cluster: &'a dyn Cluster,
}

impl Variables<'_> {
    /// Sets a variable, or another value of it.
    pub(crate) fn set(&mut self, name: &'static str, value: Cel) {
        self.values.retain(|(known, _)| *known != name);
        self.values.push((name, value));
    }
}

impl Program {
    /// Parses an expression.
    ///
    /// # Errors
    /// The parser's text, which is cel-go's for syntax errors.
    pub(crate) fn compile(source: &str) -> Result<Self, String> {
        let parsed = Parser::new().enable_optional_syntax(true).parse(source);
        let mut root = parsed.map_err(|errors| errors.to_string())?;
        let base = prepare(&mut root)?;
        Ok(Self { root, base })
    }

    /// Evaluates and charges the budget.
    ///
    /// # Errors
    /// cel-go's text.
    pub(crate) fn evaluate(&self, variables: &Variables<'_>, budget: &mut Budget) -> Result<Cel, String> {
        let decisions = Decisions::default();
        for _ in 0..MAX_QUESTIONS {
            let limit = PER_CALL_LIMIT.min(budget.0);
            let left = Arc::new(Mutex::new(limit - self.base));
            let result = self.once(variables, &decisions, &left);
            let left = *left.lock().unwrap_or_else(PoisonError::into_inner);
            if left < 0 {
                budget.0 -= limit;
                return Err("operation cancelled: actual cost limit exceeded".to_owned());
            }
            if decisions.answer(variables.user, variables.cluster) {
                continue;
            }
            budget.0 -= limit - left;
            return result.map_err(|error| text(&error));
        }
        Err(format!("the fake apiserver answers at most {MAX_QUESTIONS} authorizer checks in one expression"))
    }

    fn once(
        &self,
        variables: &Variables<'_>,
        decisions: &Decisions,
        left: &Arc<Mutex<i64>>,
    ) -> Result<Cel, ExecutionError> {
        let mut context = Context::default();
        context.register_all();
        functions::register(&mut context, decisions);
        let left = left.clone();
        context.add_function(CHARGE, move |cost: i64| {
            let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
            *left -= cost;
            if *left < 0 { Err(ExecutionError::function_error(CHARGE, "over")) } else { Ok(true) }
        });
        context.add_function(SELECT_OPTIONAL, functions::optional);
        context.add_function(SELECT, functions::select);
        for (name, value) in &variables.values {
            context.add_variable_from_value(*name, value.clone());
        }
        Cel::resolve(&self.root, &context)
    }
}

/// Puts a charge into every comprehension and returns what the expression costs besides; refuses what the interpreter has
/// no code for.
fn prepare(expression: &mut IdedExpr) -> Result<i64, String> {
    let mut cost = 0;
    match &mut expression.expr {
        Expr::Literal(_) => {}
        Expr::Ident(_) => cost += 1,
        Expr::Select(select) => {
            cost += 1 + prepare(&mut select.operand)?;
            // The library does not carry optionals through a plain selection, and calls a field of what has no fields false.
            let function = if is_optional(&select.operand) { SELECT_OPTIONAL } else { SELECT };
            let variable = matches!(&select.operand.expr, Expr::Ident(name) if MAPS.contains(&name.as_str()));
            if !select.test && !variable {
                let field = LiteralValue::String(select.field.as_str().into());
                let field = IdedExpr { id: 0, expr: Expr::Literal(field) };
                let args = vec![std::mem::take(&mut *select.operand), field];
                expression.expr = Expr::Call(CallExpr { func_name: function.to_owned(), target: None, args });
            }
        }
        Expr::Call(call) => {
            cost += 1;
            let optional = call.func_name == operators::OPT_SELECT || call.func_name == operators::OPT_INDEX;
            if optional || (call.func_name == operators::INDEX && call.args.first().is_some_and(is_optional)) {
                call.func_name = SELECT_OPTIONAL.to_owned();
            }
            for part in call.target.as_deref_mut().into_iter().chain(&mut call.args) {
                cost += prepare(part)?;
            }
        }
        Expr::List(list) => {
            for element in &mut list.elements {
                cost += prepare(element)?;
            }
        }
        Expr::Map(map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    cost += prepare(&mut entry.key)? + prepare(&mut entry.value)?;
                }
            }
        }
        Expr::Comprehension(comprehension) => cost += prepare_comprehension(comprehension)?,
        // Patches and apply configurations are maps to the library.
        Expr::Struct(message) => {
            let name = &message.type_name;
            if name != "JSONPatch" && name != "Object" && !name.starts_with("Object.") {
                return Err(format!("the CEL library of this fake apiserver cannot build {name} objects"));
            }
            let mut map = MapExpr::default();
            for entry in std::mem::take(&mut message.entries) {
                if let EntryExpr::StructField(mut field) = entry.expr {
                    cost += prepare(&mut field.value)?;
                    let key = LiteralValue::String(field.field.as_str().into());
                    let key = IdedExpr { id: entry.id, expr: Expr::Literal(key) };
                    let pair = MapEntryExpr { key, value: field.value, optional: field.optional };
                    map.entries.push(IdedEntryExpr { id: entry.id, expr: EntryExpr::MapEntry(pair) });
                }
            }
            expression.expr = Expr::Map(map);
        }
        Expr::Unspecified => return Err("the expression is incomplete".to_owned()),
    }
    Ok(cost)
}

/// Whether an expression is an optional by its form.
fn is_optional(expression: &IdedExpr) -> bool {
    match &expression.expr {
        Expr::Call(call) => {
            let names =
                [SELECT_OPTIONAL, operators::OPT_SELECT, operators::OPT_INDEX, "optional.of", "optional.none", "or"];
            names.contains(&call.func_name.as_str())
        }
        _ => false,
    }
}

fn prepare_comprehension(comprehension: &mut ComprehensionExpr) -> Result<i64, String> {
    let outside = prepare(&mut comprehension.iter_range)?
        + prepare(&mut comprehension.accu_init)?
        + prepare(&mut comprehension.result)?;
    let each = prepare(&mut comprehension.loop_cond)? + prepare(&mut comprehension.loop_step)? + 1;
    let call = |func_name: &str, args: Vec<IdedExpr>| IdedExpr {
        id: 0,
        expr: Expr::Call(CallExpr { func_name: func_name.to_owned(), target: None, args }),
    };
    let literal = |value: LiteralValue| IdedExpr { id: 0, expr: Expr::Literal(value) };
    let condition = std::mem::take(&mut comprehension.loop_cond);
    let charge = call(CHARGE, vec![literal(LiteralValue::Int(each.into()))]);
    let stop = literal(LiteralValue::Boolean(CelBool::from(false)));
    comprehension.loop_cond = call(operators::CONDITIONAL, vec![charge, condition, stop]);
    Ok(outside)
}

/// cel-go's text of an error.
fn text(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::UndeclaredReference(name) => format!("undeclared reference to '{name}' (in container '')"),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::Overflow(..) => "integer overflow".to_owned(),
        ExecutionError::IndexOutOfBounds(Cel::Int(index)) => format!("index out of bounds: {index}"),
        ExecutionError::FunctionError { message, .. } => message.clone(),
        ExecutionError::NoSuchOverload
        | ExecutionError::UnsupportedTargetType { .. }
        | ExecutionError::UnexpectedType { .. }
        | ExecutionError::ValuesNotComparable(..)
        | ExecutionError::UnsupportedUnaryOperator(..)
        | ExecutionError::UnsupportedBinaryOperator(..) => "no such overload".to_owned(),
        other => other.to_string(),
    }
}
