use std::collections::BTreeMap;

use apimachinery::value::{Value, json};

use super::*;
use crate::check::{Checked, Finding, LawResult, LawVerdict};
use crate::compare::{Change, Class, Comparison, Example, Part, PodRow, Side};

const HOSTILE: &str = "</script><img src=x onerror=alert(1)>&\"'`|*@all\u{2028}\u{1}";

/// A comparison with so many pods, some of them with names that mean harm.
pub(super) fn comparison(pods: u64) -> Comparison {
    let object = |image: &str| {
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "labels": {"a": "b", "hostile": HOSTILE}},
            "spec": {"containers": [
                {"name": "app", "image": "app:1", "env": [{"name": "DB_PASSWORD", "value": "hunter2-is-long"}],
                 "ports": [{"containerPort": 80}, {"containerPort": 81}, {"containerPort": 82}]},
                {"name": "istio-proxy", "image": image},
            ]},
        })
    };
    let class = |id: &str, title: &str, allowed: Option<&str>| Class {
        id: id.to_owned(),
        title: title.to_owned(),
        parts: vec![Part {
            title: title.to_owned(),
            change: Change { path: "/spec/containers[name=istio-proxy]/image".to_owned(), ..Change::default() },
            variants: 1,
            ..Part::default()
        }],
        count: if id == "b2" { pods / 3 } else { pods / 2 },
        namespaces: (0..20).map(|n| (format!("team-{n}"), 400 / (n + 1))).collect(),
        owners: BTreeMap::from([("ReplicaSet/web".to_owned(), 7), (HOSTILE.to_owned(), 3)]),
        example: Some(Example {
            log: "production.jsonl.zst".to_owned(),
            line: 17,
            namespace: "shop".to_owned(),
            name: HOSTILE.to_owned(),
            before: object("istio/proxyv2:1.26.0"),
            after: object("istio/proxyv2:1.27.1"),
            minimal: Some(object("x")),
            ..Example::default()
        }),
        allowed: allowed.map(str::to_owned),
    };
    let mut side = Side { name: "recorded".to_owned(), ..Side::default() };
    for n in 0..4000_u64 {
        side.latency.add(std::time::Duration::from_micros(200 + n % 97 * (1 + n % 13)));
    }
    let candidate = Side { name: "new-configmap.yaml".to_owned(), ..side.clone() };
    let rows = (0..pods).map(|n| PodRow {
        line: n + 1,
        namespace: format!("team-{}", n % 20),
        name: if n % 1000 == 7 { format!("{HOSTILE}-{n}") } else { format!("web-{n}-7d9f8c…") },
        owner: "ReplicaSet/web-7d9f8c".to_owned(),
        classes: if n % 3 == 0 { vec!["a1".to_owned(), "b2".to_owned()] } else { vec!["a1".to_owned()] },
    });
    Comparison {
        format_version: 1,
        logs: vec!["production.jsonl.zst".to_owned()],
        baseline: side,
        candidate,
        reviews: pods + 100,
        equal: 100,
        different: pods,
        classes: vec![
            class("a1", "image of container istio-proxy: istio/proxyv2:1.26.0 → istio/proxyv2:1.27.1", None),
            class("b2", &format!("added annotation {HOSTILE}"), None),
            class("c3", "removed label sidecar.istio.io/old", Some("gone since 1.27")),
        ],
        pods: rows.collect(),
        pods_unlisted: 5,
        ..Comparison::default()
    }
}

fn page(pods: u64) -> Page {
    Page::of(&apimachinery::value::to_value(comparison(pods)).unwrap()).unwrap()
}

/// The element's text, and how many script elements the page opens and closes.
fn data(html: &str) -> &str {
    let start = html.find("id=\"data\">").unwrap() + "id=\"data\">".len();
    &html[start..start + html[start..].find("</script>").unwrap()]
}

#[test]
fn whatever_pods_are_called_the_page_stays_one() {
    let page = page(2000);
    let html = html(&page);
    assert_eq!((html.matches("<script").count(), html.matches("</script").count()), (2, 2));
    assert!(!html.contains("<img"));
    let back: Value = serde_json::from_str(data(&html)).unwrap();
    assert_eq!(back, apimachinery::value::to_value(&page).unwrap(), "nothing is lost by escaping");
    assert!(back["rows"][7]["cells"][1].as_str().unwrap().starts_with(HOSTILE));
    // No network: nothing is loaded, and the policy would forbid it.
    assert!(html.contains("default-src 'none'"));
    let frame = html.replace(data(&html), "");
    assert!(
        !frame.contains("src=") && !frame.contains("href=") && !frame.contains("@import") && !frame.contains("url(")
    );
    let hostile = Page { title: "{{script}}<b>".to_owned(), ..Page::default() };
    assert!(super::html(&hostile).contains("<title>{{script}}&lt;b&gt;</title>"));
}

#[test]
fn a_page_has_a_limit_and_says_what_it_left_out() {
    let mut comparison = comparison(3);
    let class = comparison.classes.remove(0);
    let long: String = (0..3000).map(|n| format!("line {n} {}\n", "x".repeat(100))).collect();
    comparison.classes = (0..100)
        .map(|n| {
            let mut class = Class { id: format!("{n:012x}"), ..class.clone() };
            let example = class.example.as_mut().unwrap();
            example.before["data"] = json!(long.lines().collect::<Vec<_>>());
            example.after["data"] = json!(long.lines().rev().collect::<Vec<_>>());
            class
        })
        .collect();
    let page = Page::of(&apimachinery::value::to_value(&comparison).unwrap()).unwrap();
    assert!(html(&page).len() < 8 << 20, "{}", html(&page).len());
    let without = page.entries.iter().filter(|entry| entry.diff.is_empty()).count();
    assert!((50..100).contains(&without), "{without}");
    assert!(
        page.facts
            .iter()
            .any(|(_, value)| value.starts_with(&format!("{without}; ")) && value.contains("--save-scenarios"))
    );
}

#[test]
fn sides_are_compared_line_by_line() {
    let page = page(3);
    let changed: Vec<_> = page.entries[0].diff.iter().filter(|line| line.0 != '=').collect();
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].0, '~');
    assert!(changed[0].1.ends_with("1.26.0") && changed[0].2.ends_with("1.27.1"), "{changed:?}");
}

#[test]
fn junit_is_well_formed_and_fails_for_what_is_unexpected() {
    let text = junit(&page(10));
    assert!(text.contains("tests=\"3\" failures=\"2\""), "{text}");
    assert_eq!((text.matches("<testcase ").count(), text.matches("<failure ").count()), (3, 2));
    assert!(!text.contains("<img") && !text.contains('\u{1}'), "{text}");
    assert!(text.contains("&lt;/script&gt;"));
    let unreadable = Page { title: "t".to_owned(), ok: false, summary: "2 lines".to_owned(), ..Page::default() };
    assert!(junit(&unreadable).contains("<failure message=\"2 lines\"/>"));
}

#[test]
fn markdown_shows_what_changed_and_calls_nobody() {
    let text = markdown(&page(10));
    assert!(text.starts_with("## ❌ new-configmap.yaml against recorded\n"), "{text}");
    assert!(
        text.contains("\n-    image: istio/proxyv2:1.26.0\n+    image: istio/proxyv2:1.27.1\n")
            || text.contains("1.27.1")
    );
    assert!(!text.contains("@all") && !text.contains("<img"), "{text}");
    let table: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).collect();
    assert!(table.iter().all(|line| line.replace("\\|", "").matches('|').count() == 5), "{table:#?}");
}

#[test]
fn secrets_do_not_reach_a_report() {
    let result = apimachinery::value::to_value(comparison(3)).unwrap();
    let page = Page::of(&without_secrets(&result).unwrap()).unwrap();
    for text in [html(&page), junit(&page), markdown(&page)] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(html(&Page::of(&result).unwrap()).contains("hunter2"), "it was there");
}

#[test]
fn evidence_that_quotes_a_secret_is_redacted_with_it() {
    let pod = json!({"kind": "Pod", "spec": {"containers": [{"name": "a", "env": [{"name": "API_TOKEN", "value": "s3cr3t-s3cr3t"}]}]}});
    let checked = Checked {
        laws: vec![LawResult {
            verdict: LawVerdict::Broken,
            finding: Some(Finding {
                evidence: vec!["value \"s3cr3t-s3cr3t\" removed".to_owned()],
                before: pod,
                ..Finding::default()
            }),
            ..LawResult::default()
        }],
        ..Checked::default()
    };
    let shown = without_secrets(&apimachinery::value::to_value(&checked).unwrap()).unwrap();
    assert!(!shown.to_string().contains("s3cr3t"), "{shown}");
    assert!(apimachinery::value::from_value::<Checked>(shown).is_ok());
}

#[test]
fn saved_results_of_every_command_are_read_and_others_told_apart() {
    let scenarios = json!([{"scenario": "s", "file": "f.yaml", "ok": false, "steps": 2, "failure": {"line": 3, "step": 1, "word": "expect", "message": "no", "trace": "t"}}]);
    let page = Page::of(&scenarios).unwrap();
    assert_eq!((page.ok, page.entries[0].lines.join("|").as_str()), (false, "f.yaml|line 3, step 1 (expect)|no|t"));
    let replayed = crate::replay::Replayed::default().json();
    assert_eq!(Page::of(&replayed).unwrap().title, "Replay");
    assert!(Page::of(&json!({"scenarios": scenarios, "replay": replayed})).unwrap().title.contains("replay"));
    assert!(Page::of(&json!({"a": 1})).unwrap_err().to_string().starts_with("not a result"));
    assert!(Page::of(&json!([])).unwrap().ok);
    assert!(Page::of(&json!({"formatVersion": 9})).unwrap_err().to_string().contains("newer"));
}

/// The page in a real browser, headless, without a network: its script runs, draws only what is in view, and searches.
#[test]
#[ignore = "needs chromium"]
fn a_browser_shows_ten_thousand_pods_and_searches_them() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report.html");
    let page = html(&page(10_000));
    std::fs::write(&file, &page).unwrap();
    let dom = |fragment: &str, flags: &[&str]| {
        let mut command = std::process::Command::new("chromium");
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"]);
        command.args(["--disable-quic", "--no-first-run", "--disable-background-networking"]);
        command.args(["--disable-component-update", "--disable-sync"]).args(flags);
        command.args(["--virtual-time-budget=5000", "--host-resolver-rules=MAP * ~NOTFOUND"]);
        command.arg(format!("--user-data-dir={}", directory.path().join("profile").display()));
        command.arg(format!("file://{}{fragment}", file.display()));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let whole = dom("", &[]);
    assert!(whole.contains("10,000 of 10,000, 5 not listed"), "{}", &whole[..2000]);
    let rows = whole.matches("id=\"row-").count();
    assert!((10..100).contains(&rows), "{rows} rows in the document: those in view");
    assert!(!whole.contains("<img"), "a hostile name became an element");
    assert!(whole.contains("class=\"gone\"") && whole.contains("class=\"come\""), "the first finding is open");
    assert!(whole.contains("<rect"), "there is a histogram");
    // What a pod has with few others stands first; the number of all goes before.
    assert!(whole.contains("<b>2</b>added annotation "), "the rarer of two findings first");
    // Narrow or wide, in light or dark: the page is no wider than its window, with a finding open.
    let look = "<script>document.body.dataset.overflow = document.documentElement.scrollWidth > innerWidth</script>";
    for window in ["--window-size=500,900", "--window-size=1400,900"] {
        for scheme in ["--blink-settings=preferredColorScheme=0", "--blink-settings=preferredColorScheme=1"] {
            std::fs::write(&file, page.clone() + look).unwrap();
            let looked = dom("", &[window, scheme]);
            assert!(looked.contains("data-overflow=\"false\""), "{window}, {scheme}: wider than its window");
        }
    }
    std::fs::write(&file, &page).unwrap();
    let one = dom("#search=web-4242-", &[]);
    assert!(one.contains(">1 of 10,000"), "the search finds one");
    assert_eq!(one.matches("id=\"row-").count(), 1);
}
