//! Each pod of `inputs/` through each injector in the box: the decision, the patch, the pod after it.
//!
//! `cargo insta review` shows what a change would do to them.

use std::fmt::Write as _;
use std::path::Path;

use apimachinery::value::Value;
use apimachinery::yaml;
use injector::Injector;

use crate::support::{injectors, patched};

#[test]
fn inputs_are_injected_as_before() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("inputs");
    let mut paths: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 40, "only {} inputs", paths.len());
    for path in paths {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let pod = yaml::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for (era, injector) in injectors() {
            let mut settings = insta::Settings::new();
            settings.set_snapshot_path(format!("../snapshots/{era}"));
            settings.set_prepend_module_to_snapshot(false);
            settings.set_omit_expression(true);
            settings.set_input_file(&path);
            settings.bind(|| insta::assert_snapshot!(name, picture(injector, &pod)));
        }
    }
}

/// Everything there is to say about an injection.
fn picture(injector: &Injector, pod: &Value) -> String {
    let injected = match injector.inject_object(pod, "shop", "/inject") {
        Ok(injected) => injected,
        Err(error) => return format!("denied: {error}\n"),
    };
    let mut out = format!("{}\n", injected.decision.summary());
    for warning in &injected.warnings {
        writeln!(out, "warning: {warning}").unwrap();
    }
    for operation in &injected.patch {
        let value = apimachinery::value::to_value(operation).unwrap();
        let text = |key: &str| value[key].as_str().unwrap_or_default();
        write!(out, "{} {}", text("op"), text("path")).unwrap();
        match value.get("value") {
            Some(value) => writeln!(out, " {value}").unwrap(),
            None => out.push('\n'),
        }
    }
    if !injected.patch.is_empty() {
        out.push_str("---\n");
        out.push_str(&yaml::to_string(&patched(pod, &injected).unwrap()));
    }
    out
}
