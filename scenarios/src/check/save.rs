//! Keeping what breaks a law: the review, to be sent again, and a scenario where one can say what is expected.

use std::io;
use std::path::{Path, PathBuf};

use apimachinery::value::{Value, json};
use apimachinery::yaml;

use super::result::{Checked, Finding};

/// A finding that could not be saved.
#[derive(Debug, thiserror::Error)]
#[error("cannot save {}: {source}", path.display())]
pub struct SaveError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Saves each finding as `LAW.review.json` (a log of one review: `towtank check --reviews LAW.review.json --only LAW`),
/// and as `LAW.yaml`, a scenario that fails as long as the law is broken, where a scenario can tell. `webhook` is the
/// scenario's webhook: `{url: …, ca: …}` or `{injector: …}`.
///
/// # Errors
/// The directory or a file cannot be written.
pub fn save(checked: &mut Checked, directory: &Path, webhook: &Value) -> Result<(), SaveError> {
    let failed = |path: &Path, source| SaveError { path: path.to_owned(), source };
    std::fs::create_dir_all(directory).map_err(|source| failed(directory, source))?;
    for law in &mut checked.laws {
        let Some(finding) = &mut law.finding else { continue };
        let mut files = vec![(format!("{}.review.json", law.name), format!("{}\n", finding.minimal))];
        if let Some(scenario) = scenario(&law.name, &law.claim, finding, webhook) {
            files.push((format!("{}.yaml", law.name), yaml::to_string(&scenario)));
        }
        for (name, text) in files {
            let path = directory.join(name);
            std::fs::write(&path, text).map_err(|source| failed(&path, source))?;
            finding.saved.push(path.display().to_string());
        }
    }
    Ok(())
}

fn scenario(law: &str, claim: &str, finding: &Finding, webhook: &Value) -> Option<Value> {
    let request = &finding.minimal["request"];
    let mut object = request["object"].clone();
    let expect = match law {
        "answers" | "patch-applies" | "timeout" => json!({ "status": 201 }),
        // Everything that was there is still there.
        "ownership" => json!({ "status": 201, "matches": { "metadata": object["metadata"], "spec": object["spec"] } }),
        // What was patched once is created again: its lists are as long as they were.
        "idempotent" if finding.before["spec"].is_object() => {
            object = finding.before.clone();
            let lists = object["spec"].as_object()?.iter().filter_map(|(name, list)| {
                Some((format!("spec.{name}"), Value::from(list.as_array().filter(|list| !list.is_empty())?.len())))
            });
            json!({ "status": 201, "lengths": lists.collect::<apimachinery::value::Map>() })
        }
        _ => return None,
    };
    if request["kind"]["kind"] != "Pod" || !object["spec"]["containers"].is_array() {
        return None;
    }
    let namespace = request["namespace"].as_str().filter(|name| !name.is_empty()).unwrap_or("default");
    object["metadata"]["namespace"] = namespace.into();
    Some(json!({
        "scenario": format!("{law}: {claim}"),
        "cluster": { "namespaces": [namespace], "webhooks": [webhook] },
        "steps": [{ "create": object }, { "expect": expect }],
    }))
}
