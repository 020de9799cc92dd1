use std::collections::BTreeMap;

use apimachinery::value::json;

use super::{Budget, Context, find, left_out, names};
use crate::template::{Template, Value};

fn eval(text: &str) -> String {
    let template =
        Template::parse("t", &format!("{{{{ {text} }}}}"), ("{{", "}}")).unwrap_or_else(|e| panic!("{text}: {e}"));
    let environment = BTreeMap::from([("HOME".to_owned(), "/root".to_owned())]);
    let context = Context { environment: &environment, render: None, budget: &Budget::default() };
    let values = json!({ "a": { "x": 1, "y": null, "z": [] }, "s": "text" });
    let data = Value::fields(vec![("Values", Value::free(&values))]);
    template.render(&data, &context).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Results as sprig's documentation and Istio's templates have them.
#[test]
fn functions_give_what_sprig_and_istio_give() {
    for (text, wanted) in [
        ("trunc 5 `hello world`", "hello"),
        ("trunc -5 `hello world`", "world"),
        ("trimAll `-_.` `-a.b_`", "a.b"),
        ("abbrev 5 `hello world`", "he..."),
        ("nindent 2 `a\nb` | quote", "\"\\n  a\\n  b\""),
        ("indent 2 `a\nb` | quote", "\"a\\n  b\""),
        ("quote `a` nil 1", "\"a\" \"1\""),
        ("list 1 2 3 | join `,`", "1,2,3"),
        ("default `d` ``", "d"),
        ("`` | default `d`", "d"),
        ("default `d` 0 | quote", "\"d\""),
        ("snakecase `HTTPServerName`", "http_server_name"),
        ("kebabcase `FirstName`", "first-name"),
        ("camelcase `http_server`", "HttpServer"),
        ("title `hello world`", "Hello World"),
        ("regexReplaceAll `a(x*)b` `-ab-axxb-` `${1}W`", "-W-xxW-"),
        ("semverCompare `^1.2.0` `1.9.3`", "true"),
        ("semverCompare `>=1.2 <2.0.0` `2.0.0`", "false"),
        ("(semver `v1.2.3-a+b`).Minor", "2"),
        ("b64enc `abc` | b64dec", "abc"),
        ("b32enc `abcdef` | b32dec", "abcdef"),
        ("sha256sum `a` | trunc 8", "ca978112"),
        ("dict `a` 1 `b` (dict `c` 2) | toJson", r#"{"a":1,"b":{"c":2}}"#),
        ("$d := dict `a` 1 }}{{ $_ := set $d `b` 2 }}{{ $d | toJson", r#"{"a":1,"b":2}"#),
        ("dig `a` `b` `none` (dict `a` (dict `b` `deep`))", "deep"),
        ("merge (dict `a` 1) (dict `a` 2 `b` 3) | toJson", r#"{"a":1,"b":3}"#),
        ("without (list 1 2 3) 2 | toJson", "[1,3]"),
        ("uniq (list 1 1 `1`) | toJson", r#"[1,"1"]"#),
        ("add 1 2 3", "6"),
        ("div 7 2", "3"),
        ("round 3.14159 2", "3.14"),
        ("seq 1 2 7", "1 3 5 7"),
        ("ternary `y` `n` true", "y"),
        ("base `/a/b.c`", "b.c"),
        ("clean `/a/../b//c/.`", "/b/c"),
        ("(urlParse `http://u:p@h:80/p?q=1#f`).host", "h:80"),
        ("printf `%5.1f|%-4s|%04d|%q|%t|%v` 3.14159 `ab` 42 `x` true (list 1 `a`)", "  3.1|ab  |0042|\"x\"|true|[1 a]"),
        ("printf `%d` `x`", "%!d(string=x)"),
        ("toJSON (strdict `a` `<b>`)", "{\"a\":\"\\u003cb\\u003e\"}"),
        ("excludeInboundPort 15020 ` 80 ,,443`", "80,443,15020"),
        ("excludeInboundPort `0` `80 , 443`", "80 , 443"),
        ("excludeInboundPort 80 `80 , 443`", "80 , 443"),
        ("appendMultusNetwork `` `default/istio-cni`", "default/istio-cni"),
        ("appendMultusNetwork `other` `default/istio-cni`", "other, default/istio-cni"),
        ("appendMultusNetwork `[{\"name\":\"x\"}]` `d/n`", r#"[{"name":"x"}, {"name":"n","namespace":"d"}]"#),
        ("directory `/etc/certs/ca.pem`", "/etc/certs/"),
        ("contains `b` `abc`", "true"),
        ("env `HOME` `x`", "/root"),
        ("env `NONE` `x`", "x"),
        ("toYaml (omitNil .Values.a)", "x: 1\n"),
        ("toJsonMap (strdict `b` `1`) (strdict `a` `2` `b` `3`)", r#"{"a":"2","b":"3"}"#),
        ("omit (strdict `a` `1` `b` `2`) `a` | toJson", r#"{"b":"2"}"#),
        ("fromJSON `[`", "{}"),
        ("range fromJSON `[{\"a\":1}]` }}{{ .a }}{{ end", "1"),
        ("valueOrDefault 0 5", "0"),
        ("valueOrDefault `` 5", "5"),
        ("len `abc`", "3"),
        ("index (list 1 2) 1", "2"),
        ("slice `abcdef` 1 3", "bc"),
        ("print 1 2 `a` 3", "1 2a3"),
    ] {
        assert_eq!(eval(text), wanted, "{text}");
    }
}

#[test]
fn every_sprig_function_is_there_or_left_out_with_a_reason() {
    // Those of sprig v3's documentation that templates of pods may want, one per group.
    for name in
        ["trim", "untilStep", "mustRegexSplit", "deepEqual", "osBase", "splitn", "kindIs", "toDecimal", "adler32sum"]
    {
        assert!(find(name).is_some(), "{name}");
    }
    for name in ["now", "uuidv4", "genCA", "getHostByName", "expandenv", "sha1sum", "durationRound"] {
        assert!(find(name).is_none() && left_out(name).is_some(), "{name}");
    }
    assert!(names().count() > 150);
}
