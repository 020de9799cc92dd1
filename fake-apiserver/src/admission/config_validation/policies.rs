//! ValidatingAdmissionPolicies and MutatingAdmissionPolicies.

use apimachinery::value::{List, Value, json};

use super::super::cel::{Environment, Ty, check, type_of};
use super::errors::Errors;
use super::{choice, conditions, constraints};

/// Most audit annotations of a policy, and the longest expression of one, in bytes.
const AUDIT_ANNOTATIONS: usize = 20;
const AUDIT_EXPRESSION: usize = 5 * 1024;

fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of[key].as_str().unwrap_or_default()
}

fn items<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of[key].as_array().map(List::as_slice).unwrap_or_default()
}

/// What is wrong with a ValidatingAdmissionPolicy; `old` is the stored one on an update.
pub(super) fn validating(policy: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = &policy["spec"];
    let environment = common(spec, old.map(|old| &old["spec"]), false, errors);
    let (validations, annotations) = (items(spec, "validations"), items(spec, "auditAnnotations"));
    if validations.is_empty() && annotations.is_empty() {
        for field in ["spec.validations", "spec.auditAnnotations"] {
            errors.required(field, "validations or auditAnnotations must contain at least one item");
        }
    }
    for (index, one) in validations.iter().enumerate() {
        validation(one, &environment, &format!("spec.validations[{index}]"), errors);
    }
    if annotations.len() > AUDIT_ANNOTATIONS {
        let given = annotations
            .iter()
            .map(|one| json!({"Key": text(one, "key"), "ValueExpression": text(one, "valueExpression")}));
        let why = format!("must not have more than {AUDIT_ANNOTATIONS} auditAnnotations");
        errors.invalid("spec.auditAnnotations", &given.collect::<Value>().to_string(), &why);
    }
    for (index, one) in annotations.iter().enumerate() {
        let path = format!("spec.auditAnnotations[{index}]");
        audit_annotation(text(&policy["metadata"], "name"), one, &environment, &path, errors);
        let key = text(one, "key");
        if annotations[..index].iter().any(|before| text(before, "key") == key) {
            errors.duplicate(&format!("{path}.key"), key);
        }
    }
}

/// What is wrong with a MutatingAdmissionPolicy; `old` is the stored one on an update.
pub(super) fn mutating(policy: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = &policy["spec"];
    let environment = common(spec, old.map(|old| &old["spec"]), true, errors);
    let mutations = items(spec, "mutations");
    if mutations.is_empty() {
        errors.required("spec.mutations", "mutations must contain at least one item");
    }
    for (index, one) in mutations.iter().enumerate() {
        mutation(one, &environment, &format!("spec.mutations[{index}]"), errors);
    }
    if text(spec, "reinvocationPolicy").is_empty() {
        errors.required("spec.reinvocationPolicy", "");
    } else {
        choice(spec, "reinvocationPolicy", &["IfNeeded", "Never"], "spec", errors);
    }
}

/// What both kinds have, up to their variables; what expressions after them may refer to.
fn common(spec: &Value, old: Option<&Value>, mutates: bool, errors: &mut Errors) -> Environment {
    if spec["failurePolicy"].is_null() {
        errors.required("spec.failurePolicy", "");
    }
    choice(spec, "failurePolicy", &["Fail", "Ignore"], "spec", errors);
    let mut environment = Environment::new();
    if spec["paramKind"].is_object() {
        environment = environment.with_params();
        constraints::param_kind(&spec["paramKind"], "spec.paramKind", errors);
    }
    constraints::of_policy(spec, errors);
    if mutates {
        constraints::only_mutable(&spec["matchConstraints"], "spec.matchConstraints", errors);
    }
    // Conditions that were accepted once are left alone.
    let same = |key: &str| old.is_some_and(|old| old[key] == spec[key]);
    if !(same("paramKind") && same("matchConditions")) {
        conditions::validate(&spec["matchConditions"], &environment, "spec.matchConditions", errors);
    }
    let variables = items(spec, "variables");
    if !variables.is_empty() {
        environment = environment.with_variables();
    }
    for (index, variable) in variables.iter().enumerate() {
        let path = format!("spec.variables[{index}]");
        let (name, expression) = (text(variable, "name"), text(variable, "expression"));
        if name.trim().is_empty() {
            errors.required(&format!("{path}.name"), "name is not specified");
        } else if !is_identifier(name) {
            errors.invalid_text(&format!("{path}.name"), name, "name is not a valid CEL identifier");
        }
        let at = format!("{path}.expression");
        if expression.trim().is_empty() {
            errors.required(&at, "expression is not specified");
            continue;
        }
        match type_of(expression, &environment) {
            Ok(ty) => environment.declare(name, ty),
            Err(why) => {
                errors.invalid_text(&at, expression, &why);
                // What refers to it is not told a second time.
                environment.declare(name, Ty::Dyn);
            }
        }
    }
    environment
}

fn validation(one: &Value, environment: &Environment, path: &str, errors: &mut Errors) {
    let expression = text(one, "expression");
    if expression.trim().is_empty() {
        errors.required(&format!("{path}.expression"), "expression is not specified");
    } else if let Err(why) = check(expression, environment, &[Ty::Bool]) {
        errors.invalid_text(&format!("{path}.expression"), expression, &why);
    }
    let (message, computed) = (text(one, "message"), text(one, "messageExpression"));
    let at = format!("{path}.messageExpression");
    if !computed.is_empty() && computed.trim().is_empty() {
        errors.invalid_text(&at, computed, "must be non-empty if specified");
    } else if !computed.is_empty()
        && let Err(why) = check(computed, &environment.without_authorizer(), &[Ty::String])
    {
        errors.invalid_text(&at, computed, &why);
    }
    let at = format!("{path}.message");
    if !message.is_empty() && message.trim().is_empty() {
        errors.invalid_text(&at, message, "message must be non-empty if specified");
    } else if message.trim().contains(['\n', '\r']) {
        errors.invalid_text(&at, message, "message must not contain line breaks");
    }
    choice(one, "reason", &["Forbidden", "Invalid", "RequestEntityTooLarge"], path, errors);
}

fn audit_annotation(policy: &str, one: &Value, environment: &Environment, path: &str, errors: &mut Errors) {
    let key = text(one, "key");
    let at = format!("{path}.key");
    if policy.is_empty() {
        errors.invalid_text(&at, key, "requires metadata.name be non-empty");
    } else {
        errors.qualified_name(&at, &format!("{policy}/{key}"));
    }
    let written = text(one, "valueExpression");
    let expression = written.trim();
    let at = format!("{path}.valueExpression");
    if expression.is_empty() {
        errors.required(&at, "valueExpression is not specified");
    } else if expression.len() > AUDIT_EXPRESSION {
        errors.required(&at, &format!("must not exceed {AUDIT_EXPRESSION} bytes in length"));
    } else if let Err(why) = check(expression, environment, &[Ty::String, Ty::Null]) {
        errors.invalid_text(&at, written, &why);
    }
}

/// A mutation: its type, and the expression of that type and no other.
fn mutation(one: &Value, environment: &Environment, path: &str, errors: &mut Errors) {
    let (own, other, wanted) = match text(one, "patchType") {
        "" => return errors.required(&format!("{path}.patchType"), ""),
        "JSONPatch" => ("jsonPatch", "applyConfiguration", "list(JSONPatch)"),
        "ApplyConfiguration" => ("applyConfiguration", "jsonPatch", "Object"),
        _ => return choice(one, "patchType", &["ApplyConfiguration", "JSONPatch"], path, errors),
    };
    let kind = text(one, "patchType");
    if one[own].is_null() {
        errors.required(&format!("{path}.{own}"), &format!("must be specified when patchType is {kind}"));
    } else {
        let at = format!("{path}.{own}.expression");
        let expression = text(&one[own], "expression").trim();
        if expression.is_empty() {
            errors.required(&at, "");
        } else {
            match type_of(expression, environment) {
                Err(why) => errors.invalid_text(&at, expression, &why),
                Ok(ty) if !may_be(&ty, kind) => {
                    let why = format!("must evaluate to {wanted} but got {}", ty.text());
                    errors.invalid_text(&at, expression, &why);
                }
                Ok(_) => {}
            }
        }
    }
    if !one[other].is_null() {
        let why = format!("must not be specified when patchType is {kind}");
        errors.invalid_text(&format!("{path}.{other}"), &format!("{{{other}}}"), &why);
    }
}

/// Whether an expression of this type can yield what the mutation needs; elements of lists are not told apart as far as that.
fn may_be(ty: &Ty, kind: &str) -> bool {
    match (ty, kind) {
        (Ty::List(of), "JSONPatch") => matches!(&**of, Ty::Dyn | Ty::Named(_) | Ty::List(_)),
        (Ty::Named(name), "ApplyConfiguration") => *name == "Object",
        (Ty::Dyn, _) => true,
        _ => false,
    }
}

/// A CEL identifier that is no reserved word.
fn is_identifier(name: &str) -> bool {
    let reserved = [
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
        "void",
        "while",
    ];
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.as_bytes().first().is_none_or(u8::is_ascii_digit)
        && !reserved.contains(&name)
}
