use crate::value::{Value, json};
use proptest::prelude::*;

use super::{Error, documents, fast, parse, to_string};

#[test]
fn scalars_are_read_by_yaml_1_1() {
    for (text, value) in [
        ("y", json!(true)),
        ("Off", json!(false)),
        ("yEs", json!("yEs")),
        ("~", Value::Null),
        ("", Value::Null),
        ("nullx", json!("nullx")),
        ("0644", json!(420)),
        ("0o17", json!(15)),
        ("08", json!(8)),
        ("0x10", json!(16)),
        ("0b101", json!(5)),
        ("-0x10", json!(-16)),
        ("1_000", json!(1000)),
        ("+12", json!(12)),
        ("1e3", json!(1000)),
        ("1.0", json!(1)),
        ("1.50", json!(1.5)),
        (".5", json!(0.5)),
        (".", json!(".")),
        ("1.2.3", json!("1.2.3")),
        ("12:30", json!("12:30")),
        ("2001-12-14", json!("2001-12-14")),
        ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
        ("18446744073709551616", json!(18_446_744_073_709_551_616.0)),
        ("1e400", json!("1e400")),
        ("0x", json!("0x")),
        ("100m", json!("100m")),
        ("!!str 5", json!("5")),
        ("!!float 5", json!(5)),
        ("! 5", json!("5")),
        ("!!binary aGVsbG8=", json!("hello")),
        ("'yes'", json!("yes")),
    ] {
        assert_eq!(parse(&format!("k: {text}\n")).unwrap(), json!({ "k": value }), "{text}");
    }
}

#[test]
fn what_json_cannot_hold_is_an_error() {
    for text in ["k: .inf", "k: .NaN", "? [a]\n: b", "? {a: b}\n: c", "~: x", "k: !!int abc", "<<: 5"] {
        assert!(parse(text).is_err(), "{text}");
    }
    let error = parse("a: b\nc: !!int abc\n").unwrap_err();
    assert_eq!((error.line, error.column), (2, 4));
    assert_eq!(error.to_string(), "yaml: line 2: cannot decode !!str `abc` as a !!int");
}

#[test]
fn keys_become_strings() {
    assert_eq!(
        parse("y: 1\n0x10: 2\n1.5: 3\n1.0: 4\n1e6: 5\n'y': 6").unwrap(),
        json!({ "true": 1, "16": 2, "1.5": 3, "1": 4, "1e+06": 5, "y": 6 })
    );
}

#[test]
fn merges_apply_in_the_order_of_the_text() {
    let text = "base: &b {x: 1, y: 2}\nother: &o {x: 9}\none: {x: 3, <<: *b}\ntwo: {<<: *b, x: 3}\nthree: {<<: [*o, *b]}\nfour: {'<<': 1}";
    assert_eq!(
        parse(text).unwrap(),
        json!({
            "base": { "x": 1, "true": 2 }, "other": { "x": 9 }, "one": { "x": 1, "true": 2 },
            "two": { "x": 3, "true": 2 }, "three": { "x": 9, "true": 2 }, "four": { "<<": 1 }
        })
    );
}

#[test]
fn later_duplicate_keys_win() {
    assert_eq!(parse("a: 1\nb: 2\na: 3").unwrap(), json!({ "a": 3, "b": 2 }));
}

#[test]
fn only_the_first_document_counts() {
    assert_eq!(parse("a: 1\n---\nb: [").unwrap(), json!({ "a": 1 }));
    assert_eq!(parse("").unwrap(), Value::Null);
    assert_eq!(parse("# nothing\n").unwrap(), Value::Null);
}

#[test]
fn documents_know_their_lines_and_end_at_an_error() {
    let read: Vec<_> = documents("# head\na: 1\n---\n---\n\nb: 2\n---\nc: [\n").collect();
    assert_eq!(read.len(), 4);
    let lines: Vec<_> = read.iter().flatten().map(|document| (document.line, document.value.clone())).collect();
    assert_eq!(lines[0], (2, json!({ "a": 1 })));
    assert_eq!(lines[1].1, Value::Null);
    assert_eq!(lines[2], (6, json!({ "b": 2 })));
    assert!(read[3].is_err());
}

#[test]
fn a_block_at_the_end_of_the_text_gets_no_line_break_of_its_own() {
    assert_eq!(parse("a: |\n  x\n  y").unwrap(), json!({ "a": "x\ny" }));
    assert_eq!(parse("a: |\n  x\n  y\n").unwrap(), json!({ "a": "x\ny\n" }));
    assert_eq!(parse("a: |\n  x\nb: 1").unwrap(), json!({ "a": "x\n", "b": 1 }));
    assert_eq!(parse("a: |\n  x\n# end").unwrap(), json!({ "a": "x\n" }));
}

#[test]
fn json_is_yaml() {
    assert_eq!(parse("{\"a\": 1.0, \"b\": [1.5, 1e3]}").unwrap(), json!({ "a": 1, "b": [1.5, 1000] }));
    assert_eq!(parse("{a: [1, b]}").unwrap(), json!({ "a": [1, "b"] }));
}

#[test]
fn nesting_and_aliases_are_bounded() {
    assert!(parse(&"[".repeat(200_000)).is_err());
    assert!(parse(&"- ".repeat(100_000)).is_err());
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    assert!(parse(&text).unwrap_err().message.contains("aliasing"));
    assert!(parse("a: &a [*a]").is_err());
}

#[test]
fn prints_as_kubernetes_prints() {
    let value = json!({
        "apiVersion": "v1", "kind": "Pod", "a10": 1, "a2": 2,
        "metadata": { "labels": {}, "annotations": { "yes": "y", "n": "1", "empty": "", "date": "2001-12-14", "colon": "a: b", "hash": "a #b" } },
        "spec": { "containers": [ { "name": "app", "args": ["-c", "line one\nline two\n", "no end\nhere"] } ], "nested": [[1, 2], []] },
        "status": null, "ratio": 0.5, "tab": "a\tb", "lead": " x", "star": "*a"
    });
    assert_eq!(
        to_string(&value),
        "a2: 2\na10: 1\napiVersion: v1\nkind: Pod\nlead: ' x'\nmetadata:\n  annotations:\n    colon: 'a: b'\n    date: \"2001-12-14\"\n    empty: \"\"\n    hash: 'a #b'\n    \"n\": \"1\"\n    \"yes\": \"y\"\n  labels: {}\nratio: 0.5\nspec:\n  containers:\n  - args:\n    - -c\n    - |\n      line one\n      line two\n    - |-\n      no end\n      here\n    name: app\n  nested:\n  - - 1\n    - 2\n  - []\nstar: '*a'\nstatus: null\ntab: \"a\\tb\"\n"
    );
}

#[test]
fn long_lines_are_folded_at_blanks() {
    let text = "word ".repeat(30) + "end";
    let printed = to_string(&json!({ "message": text }));
    assert_eq!(printed.lines().count(), 2);
    assert!(printed.lines().nth(1).unwrap().starts_with("  word"));
    assert_eq!(parse(&printed).unwrap(), json!({ "message": text }));
}

/// What the full parser makes of a text.
fn fully(text: &str) -> Result<Value, Error> {
    documents(text).next().map_or(Ok(Value::Null), |document| document.map(|document| document.value))
}

/// The quick reader agrees with the full parser, or gives up.
fn agrees(text: &str) -> Result<bool, String> {
    match (fast::first_document(text), fully(text)) {
        (None, _) => Ok(false),
        (Some(quick), Ok(full)) if quick == full => Ok(true),
        // libyaml lets flow collections end at their parent's indentation.
        (Some(_), Err(error)) if error.message.contains("invalid indentation") => Ok(true),
        (Some(quick), full) => Err(format!("{text:?}: {quick} but {full:?}")),
    }
}

#[test]
fn the_quick_reader_reads_what_templates_print() {
    for text in [
        "a: b\nc:\n- d\n-   e: f\n    g: h # i\n-\n  - j\n- - k\n  - l\nm:\n  n: o\n",
        "# head\n---\n",
        "---\na: |\n  x\n\n   y\n  # z\n\nb: |-\n    q\nc: 'it''s'\nd: \"\\u00e9\\n\"\n",
        "metadata:\n  annotations: {\n    a: b,\n    \"c\":\"d\", e: [1, -2, x y]\n  }\n  labels:\nspec: {}\n",
        "args:\n- -c\n- --flag=a:b\n- \"{{ x }}\"\n- http://x/#y\n- ''\n",
        "a: 1\n---\nb: [\n",
        "? a\n",
        "a: &x b\n",
        "a: *x\n",
        "a:  b\n   c\n",
        "a: b: c\n",
        "a: 'b' c\n",
        "- a\nb: c\n",
        "a:\n b: 1\n  c: 2\n",
        "a: |\n  x\n y\n",
        "a: [b: c]\n",
        "a: {b}\n",
        "a: {b:c}\n",
        "a: - b\n",
        "a: @b\n",
        "a\n",
        "a: \"b\n",
        "a: [b\n",
        "a:\n- b\n c: d\n",
        "a: b\n- c\n",
        "a: |x\n",
        "\"a\": b\n'c': d\n",
        "a : b\n",
        "-a: b\n",
        "a: -\n",
        "a: --\n",
        "a: b #c\n",
        "a: b#c\n",
        "a:#b\n",
        "a: #b\n",
        "a:\n  #b\n  c: d\n",
        "a:b\n",
        "- a:\n  - b\n  c: d\n",
        "- |\n x\n- y\n",
        "a: [\n  1,\n  2\n]\nb: c\n",
        "a: \"x\"\n  \n \n",
        "a:\n   - b\n   - c\nd: e\n",
        "a: [a, b,]\n",
        "a: [,]\n",
        "a: []]\n",
    ] {
        agrees(text).unwrap();
    }
    assert!(agrees("args:\n- -c\n- --flag=a:b\n- \"{{ x }}\"\n- http://x/#y\n- ''\n").unwrap());
    assert!(agrees("a: b\nc:\n- d\n-   e: f\n    g: h # i\n-\n  - j\n- - k\n  - l\nm:\n  n: o\n").unwrap());
    assert_eq!(parse("a: [\n  1,\n  {b: c\n}]\nd: 2\n").unwrap(), json!({ "a": [1, { "b": "c" }], "d": 2 }));
}

fn scalar_text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[ -~]{0,12}",
        2 => "[-#:?,&*!|>'\"%@`{}\\[\\]~<=\n\t a0_.x]{0,8}",
        1 => "(y|no|on|~|null|true|\\.inf|0x1f|017|1_0|1e3|<<|2001-1-1|1:30:00|---|\\.\\.\\.)",
        1 => "\\PC{0,8}",
        1 => "[ab \n]{60,200}",
        1 => any::<String>(),
    ]
}

/// Lines that fit together now and then.
fn line() -> impl Strategy<Value = String> {
    (
        prop::sample::select(vec!["", "", "", "  ", "  ", " ", "   ", "    "]),
        prop::sample::select(vec!["", "", "", "- ", "- - ", "-   ", "-"]),
        prop::sample::select(vec!["", "a: ", "b: ", "c:", "'d': ", "\"e\": ", "y: ", "1: ", "f : "]),
        prop::sample::select(vec![
            "",
            "x",
            "1",
            "x y",
            "'q'",
            "\"q\\n\"",
            "|",
            "|-",
            ">",
            "[a, 'b']",
            "{a: b, \"c\":d}",
            "[",
            "]",
            "{",
            "}",
            "# c",
            "x # c",
            "x#c",
            "---",
            "...",
            "http://a/b",
            "a:b",
            "-1",
            "--x",
            "~",
            "null",
            "''",
            "*a",
            "&a x",
            "!t x",
            "'a",
            "x: y",
            "x:",
            ", a",
            "\"",
        ]),
        prop::sample::select(vec!["\n", "\n", "\n", "\n", " \n", "\n\n", ""]),
    )
        .prop_map(|(indent, dash, key, value, end)| format!("{indent}{dash}{key}{value}{end}"))
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e6..1e6f64).prop_filter("with a fraction", |number| number.fract() != 0.0).prop_map(Value::from),
        scalar_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(scalar_text(), inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_reads_back(value in json_value()) {
        let text = to_string(&value);
        prop_assert_eq!(parse(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?, value, "{}", text);
    }

    #[test]
    fn quick_and_full_agree_on_what_is_printed(value in json_value()) {
        agrees(&to_string(&value)).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn quick_and_full_agree_on_lines(lines in prop::collection::vec(line(), 1..8)) {
        agrees(&lines.concat()).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn quick_and_full_agree_on_anything(text in "[-#:?,&*!|>'\"%@`{}\\[\\]~<=\\\\\n\n  a0_.x]{0,30}\n?") {
        agrees(&text).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn no_text_makes_it_panic(text in "[-#:?,&*!|>'\"%@`{}\\[\\]~<=\n\t a0_.x]{0,40}") {
        for document in documents(&text) {
            let _ = document;
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&String::from_utf8_lossy(&bytes));
    }
}
