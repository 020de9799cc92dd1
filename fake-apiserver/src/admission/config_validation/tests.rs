use apimachinery::value::{Value, json};

use super::validate;

/// The errors of an object whose `spec` is a good one with these fields put in place; null takes one away.
fn errors(kind: &str, changes: Value) -> Vec<String> {
    let rules = json!([{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"], "scope": "*"}]);
    let matched =
        json!({"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}, "resourceRules": rules});
    let mut spec = match kind {
        "ValidatingAdmissionPolicy" => json!({
            "failurePolicy": "Fail", "matchConstraints": matched,
            "validations": [{"expression": "object.spec.replicas <= 5"}],
        }),
        "MutatingAdmissionPolicy" => json!({
            "failurePolicy": "Fail", "matchConstraints": matched, "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'add', path: '/a', value: 1}]"}}],
        }),
        "ValidatingAdmissionPolicyBinding" => json!({"policyName": "p", "validationActions": ["Deny"]}),
        _ => json!({"policyName": "p"}),
    };
    for (key, value) in changes.as_object().unwrap() {
        spec[key] = value.clone();
    }
    let object = json!({"metadata": {"name": "p.example.com"}, "spec": spec});
    validate(kind, &object, None).iter().map(|error| format!("{}: {}", error.field, error.body())).collect()
}

#[track_caller]
fn assert_errors(kind: &str, changes: Value, expected: &[&str]) {
    assert_eq!(errors(kind, changes), expected);
}

#[test]
fn good_ones_have_no_errors() {
    let validating = json!({
        "paramKind": {"apiVersion": "example.com/v1", "kind": "Limit"},
        "variables": [
            {"name": "count", "expression": "object.spec.containers.size()"},
            {"name": "few", "expression": "variables.count < 5 && params.on == true"},
        ],
        "matchConditions": [{"name": "on", "expression": "params.on == true"}],
        "validations": [
            {"expression": "variables.few", "messageExpression": "'too many: ' + string(variables.count)", "reason": "Invalid"},
            {"expression": "authorizer.requestResource.check('custom').allowed()", "message": "no"},
        ],
        "auditAnnotations": [
            {"key": "k", "valueExpression": "'x' + object.metadata.name"},
            {"key": "none", "valueExpression": "null"},
        ],
    });
    assert_errors("ValidatingAdmissionPolicy", validating, &[]);
    assert_errors("MutatingAdmissionPolicy", json!({}), &[]);
    let apply = json!([{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{spec: Object.spec{replicas: 3}}"}}]);
    assert_errors("MutatingAdmissionPolicy", json!({"mutations": apply}), &[]);
    let reference = json!({"paramRef": {"name": "a", "parameterNotFoundAction": "Deny"}});
    assert_errors("ValidatingAdmissionPolicyBinding", reference.clone(), &[]);
    assert_errors("MutatingAdmissionPolicyBinding", reference, &[]);
}

#[test]
fn what_a_policy_must_have() {
    assert_errors(
        "ValidatingAdmissionPolicy",
        json!({"failurePolicy": null, "matchConstraints": null, "validations": []}),
        &[
            "spec.failurePolicy: Required value",
            "spec.matchConstraints: Required value",
            "spec.validations: Required value: validations or auditAnnotations must contain at least one item",
            "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item",
        ],
    );
    assert_errors(
        "MutatingAdmissionPolicy",
        json!({"mutations": [], "reinvocationPolicy": null, "failurePolicy": "Maybe"}),
        &[
            "spec.failurePolicy: Unsupported value: \"Maybe\": supported values: \"Fail\", \"Ignore\"",
            "spec.mutations: Required value: mutations must contain at least one item",
            "spec.reinvocationPolicy: Required value",
        ],
    );
}

#[test]
fn expressions_have_to_compile_to_what_is_needed() {
    assert_errors(
        "ValidatingAdmissionPolicy",
        json!({
            "variables": [{"name": "in", "expression": "1"}, {"name": "bad", "expression": "nope"}, {"name": "", "expression": " "}],
            "validations": [
                {"expression": "1 + 1", "messageExpression": "2", "message": "a\nb", "reason": "Teapot"},
                {"expression": "params.x == 1 && variables.bad == 1", "message": " ", "messageExpression": "  "},
            ],
            "auditAnnotations": [{"key": "k", "valueExpression": "true"}, {"key": "k", "valueExpression": ""}, {"key": "a/b", "valueExpression": "'x'"}],
        }),
        &[
            "spec.variables[0].name: Invalid value: \"in\": name is not a valid CEL identifier",
            "spec.variables[1].expression: Invalid value: \"nope\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'nope' (in container '')\n | nope\n | ^",
            "spec.variables[2].name: Required value: name is not specified",
            "spec.variables[2].expression: Required value: expression is not specified",
            "spec.validations[0].expression: Invalid value: \"1 + 1\": must evaluate to bool but got int",
            "spec.validations[0].messageExpression: Invalid value: \"2\": must evaluate to string but got int",
            "spec.validations[0].message: Invalid value: \"a\\nb\": message must not contain line breaks",
            "spec.validations[0].reason: Unsupported value: \"Teapot\": supported values: \"Forbidden\", \"Invalid\", \"RequestEntityTooLarge\"",
            "spec.validations[1].expression: Invalid value: \"params.x == 1 && variables.bad == 1\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'params' (in container '')\n | params.x == 1 && variables.bad == 1\n | ^",
            "spec.validations[1].messageExpression: Invalid value: \"  \": must be non-empty if specified",
            "spec.validations[1].message: Invalid value: \" \": message must be non-empty if specified",
            "spec.auditAnnotations[0].valueExpression: Invalid value: \"true\": must evaluate to one of [string null_type] but got bool",
            "spec.auditAnnotations[1].valueExpression: Required value: valueExpression is not specified",
            "spec.auditAnnotations[1].key: Duplicate value: \"k\"",
            "spec.auditAnnotations[2].key: Invalid value: \"p.example.com/a/b\": a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
        ],
    );
    assert_errors(
        "MutatingAdmissionPolicy",
        json!({"mutations": [
            {"patchType": "JSONPatch", "applyConfiguration": {"expression": "Object{}"}},
            {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "'x'"}},
            {"patchType": "Other"}, {},
            {"patchType": "JSONPatch", "jsonPatch": {"expression": " "}},
        ]}),
        &[
            "spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch",
            "spec.mutations[0].applyConfiguration: Invalid value: \"{applyConfiguration}\": must not be specified when patchType is JSONPatch",
            "spec.mutations[1].applyConfiguration.expression: Invalid value: \"'x'\": must evaluate to Object but got string",
            "spec.mutations[2].patchType: Unsupported value: \"Other\": supported values: \"ApplyConfiguration\", \"JSONPatch\"",
            "spec.mutations[3].patchType: Required value",
            "spec.mutations[4].jsonPatch.expression: Required value",
        ],
    );
}

#[test]
fn what_a_policy_is_for() {
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["pods"], "resourceNames": ["a", "a", "b/c"]});
    let matched =
        json!({"matchPolicy": "Loose", "namespaceSelector": {}, "objectSelector": {}, "resourceRules": [rule]});
    assert_errors(
        "MutatingAdmissionPolicy",
        json!({"matchConstraints": matched, "paramKind": {"apiVersion": "a/b/c", "kind": "Not A Kind"}}),
        &[
            "spec.paramKind.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c",
            "spec.paramKind.kind: Invalid value: \"Not A Kind\": may have mixed case, but should otherwise match: a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
            "spec.matchConstraints.matchPolicy: Unsupported value: \"Loose\": supported values: \"Equivalent\", \"Exact\"",
            "spec.matchConstraints.resourceRules[0].resourceNames[1]: Duplicate value: \"a\"",
            "spec.matchConstraints.resourceRules[0].resourceNames[2]: Invalid value: \"b/c\": may not contain '/'",
            "spec.matchConstraints.resourceRules.operations: Unsupported value: \"DELETE\": supported values: \"*\", \"CONNECT\", \"CREATE\", \"UPDATE\"",
        ],
    );
}

#[test]
fn what_a_binding_says() {
    assert_errors(
        "ValidatingAdmissionPolicyBinding",
        json!({"policyName": "", "paramRef": {}, "validationActions": []}),
        &[
            "spec.policyName: Required value",
            "spec.paramRef: Required value: one of name or selector must be specified",
            "spec.paramRef.parameterNotFoundAction: Required value",
            "spec.validationActions: Required value: at least one validation action is required",
        ],
    );
    assert_errors(
        "ValidatingAdmissionPolicyBinding",
        json!({
            "paramRef": {"name": "a", "selector": {}, "parameterNotFoundAction": "Shrug"},
            "matchResources": {"matchPolicy": "Exact", "namespaceSelector": null, "objectSelector": {}},
            "validationActions": ["Deny", "Warn", "Deny", "Shout"],
        }),
        &[
            "spec.paramRef.name: Forbidden: name and selector are mutually exclusive",
            "spec.paramRef.selector: Forbidden: name and selector are mutually exclusive",
            "spec.paramRef.parameterNotFoundAction: Unsupported value: \"Shrug\": supported values: \"Deny\", \"Allow\"",
            "spec.matchResouces.namespaceSelector: Required value",
            "spec.validationActions[2]: Duplicate value: \"Deny\"",
            "spec.validationActions[3]: Unsupported value: \"Shout\": supported values: \"Audit\", \"Deny\", \"Warn\"",
            "spec.validationActions: Invalid value: [\"Deny\",\"Warn\",\"Deny\",\"Shout\"]: must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)",
        ],
    );
}
