use crate::value::json;
use proptest::prelude::*;

use super::*;

fn matches(selector: &str, labels: Value) -> bool {
    Selector::parse(selector).unwrap().matches(labels.as_object().unwrap())
}

#[test]
fn every_operator() {
    let web = json!({"app": "web", "tier": "3"});
    for (selector, expected) in [
        ("", true),
        ("app=web", true),
        ("app==web,tier=3", true),
        ("app = web , tier", true),
        ("app!=web", false),
        ("none!=web", true),
        ("app in (web,db)", true),
        ("app in ()  ", false),
        ("app notin (web)", false),
        ("none notin (web)", true),
        ("tier>2", true),
        ("tier<3", false),
        ("app>2", false),
        ("only", false),
        ("!only", true),
        ("!app", false),
        ("in=web", false),
        ("app in (,web)", true),
        ("none=", false),
    ] {
        let parsed = Selector::parse(selector).unwrap();
        assert_eq!(parsed.matches(web.as_object().unwrap()), expected, "{selector}");
    }
    assert!(matches("empty=", json!({"empty": ""})));
}

/// Vectors `api-basics/list-label-bad` and `list-label-bad-value`; the rest follow from the same grammar.
#[test]
fn texts_of_the_apiserver() {
    for (selector, text) in [
        ("app===x", "unable to parse requirement: found '=', expected: identifier"),
        ("app=a b", "found 'b', expected: ',' or 'end of string'"),
        ("app=a,", "found '', expected: identifier after ','"),
        (",", "found ',', expected: !, identifier, or 'end of string'"),
        ("app in web", "unable to parse requirement: found 'web' expected: '('"),
        ("app web", "unable to parse requirement: found 'web', expected: in, notin, =, ==, !=, gt, lt"),
        (
            "n>x",
            "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
        ),
    ] {
        assert_eq!(Selector::parse(selector).map_err(|e| e.to_string()), Err(text.to_owned()), "{selector}");
    }
    assert!(Selector::parse("a b c=1").is_err());
    assert!(Selector::parse("-a=1").unwrap_err().to_string().contains("name part must consist of"));
}

#[test]
fn structured_form() {
    let selector = Selector::from_label_selector(&json!({
        "matchLabels": {"app": "web"},
        "matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["dev"]}, {"key": "tier", "operator": "Exists"}],
    }))
    .unwrap();
    assert_eq!(selector.to_string(), "app=web,env notin (dev),tier");
    assert!(selector.matches(json!({"app": "web", "tier": ""}).as_object().unwrap()));
    assert_eq!(selector.first_mismatch(|k| (k == "app").then_some("web")), Some("tier".to_owned()));
    assert!(Selector::from_label_selector(&json!({})).unwrap().is_empty());
    for (bad, says) in [
        (
            json!({"matchExpressions": [{"key": "a", "operator": "Foo"}]}),
            "\"Foo\" is not a valid label selector operator",
        ),
        (json!({"matchExpressions": [{"key": "a", "operator": "In"}]}), "values set can't be empty"),
        (
            json!({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]}),
            "values set must be empty",
        ),
        (json!({"matchLabels": {"a b": "c"}}), "name part must consist of alphanumeric"),
        (json!({"matchLabels": {"a": 1}}), "must be a string"),
        (json!([1]), "must be an object"),
    ] {
        let error = Selector::from_label_selector(&bad).unwrap_err().to_string();
        assert!(error.contains(says), "{bad}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_reads_back(text in "[a-c!=<>(), ]{0,16}|[a-c](=|!=)[a-c]?(,![a-c])?|[a-c] (in|notin) \\([a-c],[a-c]\\)") {
        if let Ok(selector) = Selector::parse(&text) {
            let printed = selector.to_string();
            prop_assert_eq!(Selector::parse(&printed).map(|s| s.to_string()), Ok(printed.clone()));
        }
    }

    #[test]
    fn never_panics(text in ".{0,32}") {
        let _ = Selector::parse(&text);
    }
}
