use std::collections::BTreeMap;

use apimachinery::value::json;

use super::{Shape, Template, Value};
use crate::funcs::{Budget, Context};
use crate::mesh::shape;

fn render(text: &str, data: &Value<'_>) -> Result<String, String> {
    let environment = BTreeMap::from([("HOME".to_owned(), "/root".to_owned())]);
    let context = Context { environment: &environment, render: None, budget: &Budget::default() };
    // A template outlives the data that it is rendered over; here for the whole test.
    let template = Box::leak(Box::new(Template::parse("t", text, ("{{", "}}")).map_err(|e| e.to_string())?));
    template.render(data, &context).map_err(|e| e.to_string())
}

fn ok(text: &str, data: &Value<'_>) -> String {
    render(text, data).unwrap()
}

#[test]
fn absent_keys_of_free_maps_print_no_value_and_absent_fields_of_structs_are_errors() {
    let values = json!({ "a": { "b": 1 } });
    let data = Value::fields(vec![("Values", Value::free(&values))]);
    assert_eq!(ok("{{ .Values.x.y }}", &data), "<no value>");
    assert_eq!(ok("{{ .Values.a.b }}", &data), "1");
    assert!(render("{{ .Nope }}", &data).unwrap_err().contains("Nope"));
}

#[test]
fn index_of_a_string_map_gives_the_empty_string() {
    let labels = json!({ "app": "web" });
    let data = Value::fields(vec![("L", Value::Strings(labels.as_object())), ("N", Value::Strings(None))]);
    assert_eq!(
        ok("{{ index .L `app` }}|{{ index .L `x` | default `d` }}|{{ index .N `x` | quote }}", &data),
        "web|d|\"\""
    );
    assert_eq!(ok("{{ if eq (index .N `x`) `true` }}y{{ else }}n{{ end }}", &data), "n");
}

#[test]
fn typed_pods_have_go_names_zero_values_and_nil_pointers() {
    let spec = json!({ "containers": [{ "name": "app", "ports": [{ "containerPort": 80, "protocol": "TCP", "hostPort": 0 }] }] });
    let pod = apimachinery::schema::pod();
    let spec_type = pod.field("spec").unwrap().object().unwrap();
    let data = Value::fields(vec![("Spec", Value::kubernetes(Some(&spec), spec_type))]);
    assert_eq!(
        ok("{{ range .Spec.Containers }}{{ .Name }}{{ range .Ports }}{{ structToJSON . }}{{ end }}{{ end }}", &data),
        r#"app{"containerPort":80,"protocol":"TCP"}"#
    );
    assert_eq!(ok("{{ .Spec.ServiceAccountName | quote }}{{ .Spec.HostNetwork }}", &data), "\"\"false");
    assert_eq!(ok("{{ if .Spec.SecurityContext }}y{{ else }}n{{ end }}", &data), "n");
    assert!(render("{{ .Spec.SecurityContext.RunAsUser }}", &data).unwrap_err().contains("nil pointer"));
    assert!(render("{{ .Spec.containers }}", &data).unwrap_err().contains("can't evaluate field"));
    assert_eq!(ok("{{ (index .Spec.Containers 0).Resources.Limits }}", &data), "map[]");
}

#[test]
fn messages_have_getters_enums_and_wrappers() {
    let config = json!({ "interceptionMode": "TPROXY", "holdApplicationUntilProxyStarts": true });
    let data = Value::fields(vec![("P", Value::Struct(Some(&config), Shape::Message(&shape::PROXY_CONFIG)))]);
    assert_eq!(ok("{{ .P.InterceptionMode }} {{ .P.InterceptionMode.String }}", &data), "TPROXY TPROXY");
    assert_eq!(ok("{{ .P.HoldApplicationUntilProxyStarts.GetValue }}", &data), "true");
    assert_eq!(ok("{{ .P.GetTracing.GetTlsSettings.GetCaCertificates | quote }}", &data), "\"\"");
    assert!(render("{{ eq .P.InterceptionMode `TPROXY` }}", &data).unwrap_err().contains("incompatible types"));
}

#[test]
fn variables_are_block_scoped_and_can_be_assigned_from_inside() {
    assert_eq!(ok("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $x := 3 }}{{ end }}{{ $x }}", &Value::Nil), "2");
    assert_eq!(ok("{{ range $i, $v := list `a` `b` }}{{ $i }}{{ $v }}{{ end }}", &Value::Nil), "0a1b");
    assert_eq!(
        ok("{{ range $i := until 5 }}{{ if eq $i 3 }}{{ break }}{{ end }}{{ $i }}{{ else }}none{{ end }}", &Value::Nil),
        "012"
    );
}

#[test]
fn defined_templates_get_their_own_variables_and_dot() {
    let text = "{{ define `r` }}[{{ . }}{{ $ }}]{{ end }}{{ range list 1 2 }}{{ template `r` . }}{{ end }}";
    assert_eq!(ok(text, &Value::Nil), "[11][22]");
}

#[test]
fn errors_at_load_name_template_line_and_text() {
    for (text, wanted) in [
        ("a\n{{ nope 1 }}", "function \"nope\" is not defined"),
        ("a\n{{ uuidv4 }}", "left out"),
        ("a\n{{ $x }}", "undefined variable"),
        ("a\n{{ template `x` }}", "template \"x\" is not defined"),
        ("a\n{{ if }}{{ end }}", "line 2"),
    ] {
        let error = Template::parse("sidecar", text, ("{{", "}}")).unwrap_err();
        assert_eq!((error.name.as_str(), error.line), ("sidecar", 2), "{error}");
        assert!(error.to_string().contains(wanted), "{error}");
        assert!(error.message.contains("the line is \"{{"), "{error}");
    }
}

#[test]
fn output_and_loops_are_bounded() {
    assert!(render("{{ range until 100000 }}{{ range until 100000 }}x{{ end }}{{ end }}", &Value::Nil).is_err());
    assert!(render("{{ define `r` }}{{ template `r` . }}{{ end }}{{ template `r` . }}", &Value::Nil).is_err());
}

/// Each of these would take all memory, all time, or the end of the stack.
#[test]
fn values_are_bounded() {
    for (text, says) in [
        ("{{ $x := `aaaaaaaa` }}{{ range until 60 }}{{ $x = print $x $x }}{{ end }}", "longer than"),
        ("{{ $x := list 1 }}{{ range until 60 }}{{ $x = concat $x $x }}{{ end }}", "too much"),
        ("{{ $x := list 1 }}{{ range until 60 }}{{ $x = list $x $x }}{{ end }}{{ $x }}", "too much"),
        ("{{ $x := list 1 }}{{ range until 100000 }}{{ $x = list $x }}{{ end }}", "64 deep"),
        ("{{ $x := list }}{{ range until 100000 }}{{ $x = append $x 1 }}{{ end }}", "too much"),
        ("{{ $d := dict }}{{ $_ := set $d `a` $d }}", "64 deep"),
        ("{{ $d := dict }}{{ $_ := set $d `a` (list $d) }}", "64 deep"),
        ("{{ $d := dict }}{{ $_ := merge $d (dict `a` (list $d)) }}", "64 deep"),
        (
            concat!(
                "{{ $d := dict }}{{ $top := $d }}{{ range until 100000 }}{{ $n := dict }}{{ $_ := set $d `a` $n }}",
                "{{ $d = $n }}{{ end }}{{ $top }}",
            ),
            "64 deep",
        ),
        ("{{ replace `a` (repeat 100000 `b`) (repeat 100000 `a`) }}", "longer than"),
        ("{{ regexReplaceAll `a+` (repeat 100000 `a`) (repeat 100000 `$0`) }}", "longer than"),
        ("{{ join (repeat 100000 `b`) (until 100000) }}", "longer than"),
        ("{{ wrapWith 1 (repeat 100000 `b`) (repeat 100000 `a `) }}", "longer than"),
        ("{{ nindent 1000 (repeat 100000 \"\\n\") }}", "longer than"),
        ("{{ range until 1000 }}{{ regexMatch (printf `a{%d}` .) `b` }}{{ end }}", "too much"),
    ] {
        let Err(error) = render(text, &Value::Nil) else { panic!("{text}: no error") };
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn delimiters_of_istio_1_0() {
    let template = Template::parse("old", "[[ if eq 1 1 -]] {{x}} [[ end ]]", ("[[", "]]")).unwrap();
    let environment = BTreeMap::new();
    let context = Context { environment: &environment, render: None, budget: &Budget::default() };
    assert_eq!(template.render(&Value::Nil, &context).unwrap(), "{{x}} ");
}

#[test]
fn numbers_of_free_values_print_as_go_prints_floats() {
    let values = json!([15020, 1.25, 1_000_000, 0.5, true, null, "s", [1, "a"], { "k": 2 }]);
    let data = Value::fields(vec![("V", Value::free(&values))]);
    assert_eq!(ok("{{ range .V }}{{ . }};{{ end }}", &data), "15020;1.25;1e+06;0.5;true;<no value>;s;[1 a];map[k:2];");
}

#[test]
fn a_comment_trims_only_the_side_that_asks_for_it() {
    assert_eq!(ok("a {{- /* x */}}\n b", &Value::Nil), "a\n b");
    assert_eq!(ok("a {{/* x\n */ -}}\n b", &Value::Nil), "a b");
    assert_eq!(
        ok("a{{/**/}}b{{ `{{/* no */}}` }}{{ \"{{/* \\\" no */}}\" }}", &Value::Nil),
        "ab{{/* no */}}{{/* \" no */}}"
    );
    let error = Template::parse("t", "{{/* a\n\n */}}\n{{ nope }}", ("{{", "}}")).unwrap_err();
    assert_eq!(error.line, 4, "{error}");
}
