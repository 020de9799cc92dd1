use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::node::process::Process;

fn machine(unknown: Unknown) -> Machine {
    Machine {
        env: [("WHO".to_owned(), "world  wide".to_owned())].into(),
        hostname: "web-0".to_owned(),
        started: 1_700_000_000,
        uid: 0,
        processes: vec![Process { uid: 0, pid: 1, parent: 0, started: 1_699_999_000, argv: vec!["nginx".into()] }],
        files: BTreeMap::from([("/etc/hostname".to_owned(), b"web-0\n".to_vec())]),
        unknown,
    }
}

fn sh(script: &str) -> Run {
    sh_until(script, Duration::from_secs(3600))
}

fn sh_until(script: &str, horizon: Duration) -> Run {
    machine(Unknown::NotFound).run(&["sh".into(), "-c".into(), script.into()], horizon).unwrap()
}

fn said(script: &str) -> String {
    String::from_utf8(sh(script).stream(false)).unwrap()
}

#[test]
fn words_variables_and_quotes() {
    assert_eq!(said("echo hello $WHO"), "hello world wide\n");
    assert_eq!(said("echo \"hello $WHO\""), "hello world  wide\n");
    assert_eq!(said("echo 'hello $WHO'"), "hello $WHO\n");
    assert_eq!(said("X=1; echo ${X}${Y:-2} $? a\\ b"), "12 0 a b\n");
    assert_eq!(said("echo $(hostname)-$((2 + 3 * 4))"), "web-0-14\n");
    assert_eq!(said("# nothing\necho -n a; echo b"), "ab\n");
}

#[test]
fn statements() {
    assert_eq!(said("false && echo a || echo b"), "b\n");
    assert_eq!(said("if [ -f /etc/hostname ]; then cat /etc/hostname; else echo no; fi"), "web-0\n");
    assert_eq!(said("for i in 1 2 3; do echo $i; done | tail -n 1"), "3\n");
    assert_eq!(said("i=0; while [ $i -lt 3 ]; do i=$((i+1)); echo $i; done"), "1\n2\n3\n");
    assert_eq!(said("echo one > /tmp/x; echo two >> /tmp/x; cat /tmp/x | grep -v one"), "two\n");
    assert_eq!(said("nosuch 2>&1 | wc -l"), "1\n");
    assert_eq!(sh("exit 3").end, Some((Duration::ZERO, 3)));
    assert_eq!(sh("nosuch").end, Some((Duration::ZERO, 127)));
    assert_eq!(sh("echo ok; if").end.unwrap().1, 2);
}

#[test]
fn time_is_the_scripts_own() {
    let run = sh("echo a; sleep 90; echo b; exit 1");
    assert_eq!(run.end, Some((Duration::from_secs(90), 1)));
    assert_eq!(run.output[1].at, Duration::from_secs(90));
    let forever = sh_until("while true; do date +%s; sleep 5; done", Duration::from_secs(12));
    assert_eq!(forever.end, None);
    assert_eq!(forever.stream(false), b"1700000000\n1700000005\n1700000010\n");
    assert_eq!(sh("while true; do :; done").end, None);
    assert_eq!(
        machine(Unknown::Runs)
            .run(&["sh".into(), "-c".into(), "echo up; java -jar x".into()], Duration::MAX)
            .unwrap()
            .end,
        None
    );
}

#[test]
fn nothing_makes_it_panic() {
    for script in [
        "$(",
        "\"",
        "'",
        "${",
        "((((",
        "! ! !",
        "a |",
        "| a",
        ">",
        "2>&",
        "for",
        "while",
        "$",
        "\\",
        "()",
        "{",
        ";;",
        "&",
        "if true; then",
        "é=ü; echo $é ${é",
        "echo $((1/0)) $((",
        "[ ]",
        "[",
    ] {
        sh(script);
    }
    sh(&"(".repeat(100_000));
    sh(&"$(".repeat(100_000));
    sh(&"! ".repeat(100_000));
    sh(&"if true; then ".repeat(10_000));
}

#[test]
fn who_runs_what() {
    assert!(said("ps -ef").contains("root         1     0  0"));
    assert_eq!(machine(Unknown::NotFound).run(&["nosuch".into()], Duration::ZERO), None);
}

#[test]
fn streams_are_redirected_in_the_order_that_is_written() {
    let both = |script: &str| {
        let run = sh(script);
        (String::from_utf8(run.stream(false)).unwrap(), String::from_utf8(run.stream(true)).unwrap())
    };
    let pair = |out: &str, error: &str| (out.to_owned(), error.to_owned());
    assert_eq!(both("echo out; echo err >&2"), pair("out\n", "err\n"));
    assert_eq!(both("nosuch >f 2>&1; cat f | wc -l"), pair("1\n", ""));
    assert_eq!(both("nosuch 2>&1 >f | wc -l; cat f | wc -l"), pair("1\n0\n", ""));
    assert_eq!(both("nosuch >/dev/null 2>&1"), pair("", ""));
}
