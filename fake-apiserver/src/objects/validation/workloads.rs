//! Controllers of pods: Deployment, ReplicaSet, StatefulSet, DaemonSet, ReplicationController, Job, CronJob.

use apimachinery::value::{Value, json};

use super::meta::{self, invalid_each, labels};
use super::probes::non_negative;
use super::selector::{self, label_selector};
use super::{container, pod, profiles};
use crate::objects::field::{FieldError, Path};
use crate::objects::get::{entries, int, is_set, list, object, sub, text};
use crate::objects::names;

/// A controller about to be created, or as it would be after an update.
pub(crate) fn check(kind: &str, value: &Value, errors: &mut Vec<FieldError>) {
    let format = match kind {
        "CronJob" => cron_job_name,
        _ => names::dns1123_subdomain,
    };
    meta::create(value, true, format, errors);
    let spec = sub(value, "spec");
    let path = Path::root("spec");
    match kind {
        "Deployment" => deployment(spec, &path, errors),
        "ReplicaSet" => replica_set(spec, &path, errors),
        "StatefulSet" => stateful_set(spec, &path, errors),
        "DaemonSet" => daemon_set(spec, &path, errors),
        "ReplicationController" => replication_controller(spec, &path, errors),
        "Job" => {
            generated_selector(value, &path, errors);
            job(spec, &path, errors);
            job_selector(spec, &path, errors);
        }
        _ => cron_job(spec, &path, errors),
    }
}

fn cron_job_name(name: &str) -> Vec<String> {
    let mut messages = names::dns1123_subdomain(name);
    if name.len() > 52 {
        messages.push(names::too_long(52));
    }
    messages
}

/// `spec.selector`: required, and not empty.
fn required_selector(spec: &Value, what: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = path.child("selector");
    match object(spec, "selector") {
        None => errors.push(FieldError::required(&path, "")),
        Some(found) => {
            label_selector(Some(found), &path, errors);
            if selector::is_empty(found) {
                let detail = format!("empty selector is invalid for {what}");
                errors.push(FieldError::invalid(&path, found, detail));
            }
        }
    }
}

/// The template's labels are selected; its pod is one that runs forever.
fn template(spec: &Value, kind: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let template = sub(spec, "template");
    let path = path.child("template");
    let template_labels = sub(sub(template, "metadata"), "labels");
    let matched = object(spec, "selector").is_some_and(|found| selector::matches(found, template_labels));
    let empty = object(spec, "selector").is_some_and(selector::is_empty);
    if !matched && !empty {
        let metadata = path.child("metadata");
        let detail = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid(&metadata.child("labels"), template_labels, detail));
    }
    template_spec(template, &path, errors);
    always_restarts(template, kind, &path, errors);
}

fn always_restarts(template: &Value, kind: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let spec = sub(template, "spec");
    let path = path.child("spec");
    let policy = text(spec, "restartPolicy");
    if policy != "Always" {
        errors.push(FieldError::not_supported(&path.child("restartPolicy"), policy, &["Always"]));
    }
    if spec.get("activeDeadlineSeconds").is_some() {
        let detail = format!("activeDeadlineSeconds in {kind} is not Supported");
        errors.push(FieldError::forbidden(&path.child("activeDeadlineSeconds"), detail));
    }
}

/// A template of pods; its labels and annotations are reported without `metadata`.
fn template_spec(template: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    template_metadata(template, path, errors);
    let spec = sub(template, "spec");
    let path = path.child("spec");
    pod::spec(spec, "", false, &path, errors);
    profiles::fields(template, &path, errors);
    if !list(spec, "ephemeralContainers").is_empty() {
        let detail = "ephemeral containers not allowed in pod template";
        errors.push(FieldError::forbidden(&path.child("ephemeralContainers"), detail));
    }
}

fn template_metadata(template: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let metadata = sub(template, "metadata");
    labels(metadata, "labels", path, errors);
    let annotations = path.child("annotations");
    meta::annotations(metadata, &annotations, errors);
    pod::annotations(template, &annotations, errors);
}

fn deployment(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    non_negative(spec, "replicas", path, errors);
    required_selector(spec, "deployment", path, errors);
    template(spec, "ReplicaSet", path, errors);
    deployment_strategy(sub(spec, "strategy"), &path.child("strategy"), errors);
    for field in ["minReadySeconds", "revisionHistoryLimit"] {
        non_negative(spec, field, path, errors);
    }
    if let Some(deadline) = int(spec, "progressDeadlineSeconds") {
        non_negative(spec, "progressDeadlineSeconds", path, errors);
        if deadline <= int(spec, "minReadySeconds").unwrap_or(0) {
            let path = path.child("progressDeadlineSeconds");
            errors.push(FieldError::invalid(&path, &Value::from(deadline), "must be greater than minReadySeconds"));
        }
    }
}

fn deployment_strategy(strategy: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let rolling = object(strategy, "rollingUpdate");
    match text(strategy, "type") {
        "Recreate" => {
            if rolling.is_some() {
                let detail = "may not be specified when strategy `type` is 'Recreate'";
                errors.push(FieldError::forbidden(&path.child("rollingUpdate"), detail));
            }
        }
        "RollingUpdate" => {
            let path = path.child("rollingUpdate");
            match rolling {
                None => errors.push(FieldError::required(&path, "this should be defaulted and never be nil")),
                Some(rolling) => rolling_update(rolling, &path, errors),
            }
        }
        other => {
            let allowed = ["Recreate", "RollingUpdate"];
            errors.push(FieldError::not_supported(&path.child("type"), other, &allowed));
        }
    }
}

fn percent(value: &Value) -> Option<i64> {
    value.as_str()?.strip_suffix('%')?.parse().ok()
}

fn is_zero(value: &Value) -> bool {
    value.as_i64() == Some(0) || percent(value) == Some(0)
}

/// A number of pods, or a percentage of them.
fn count_or_percent(parent: &Value, field: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = path.child(field);
    match parent.get(field) {
        Some(Value::String(text)) => {
            let digits = text.strip_suffix('%');
            if digits.is_none_or(|digits| digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit())) {
                let detail = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
                errors.push(FieldError::invalid_str(&path, text, detail));
            }
        }
        Some(number) if number.as_i64().is_some_and(|number| number < 0) => {
            errors.push(FieldError::invalid(&path, number, "must be greater than or equal to 0"));
        }
        _ => {}
    }
}

fn not_over_hundred(parent: &Value, field: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(value) = parent.get(field).filter(|value| percent(value).is_some_and(|percent| percent > 100)) {
        errors.push(FieldError::invalid(&path.child(field), value, "must not be greater than 100%"));
    }
}

fn rolling_update(rolling: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    count_or_percent(rolling, "maxUnavailable", path, errors);
    count_or_percent(rolling, "maxSurge", path, errors);
    let (unavailable, surge) = (sub(rolling, "maxUnavailable"), sub(rolling, "maxSurge"));
    if is_zero(unavailable) && is_zero(surge) {
        let detail = "may not be 0 when `maxSurge` is 0";
        errors.push(FieldError::invalid(&path.child("maxUnavailable"), unavailable, detail));
    }
    not_over_hundred(rolling, "maxUnavailable", path, errors);
}

fn replica_set(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    non_negative(spec, "replicas", path, errors);
    non_negative(spec, "minReadySeconds", path, errors);
    required_selector(spec, "deployment", path, errors);
    template(spec, "ReplicaSet", path, errors);
}

fn replication_controller(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    non_negative(spec, "minReadySeconds", path, errors);
    let chosen = sub(spec, "selector");
    let chosen_path = path.child("selector");
    if chosen.as_object().is_none_or(apimachinery::value::Map::is_empty) {
        errors.push(FieldError::required(&chosen_path, ""));
    }
    non_negative(spec, "replicas", path, errors);
    let path = path.child("template");
    let Some(template) = object(spec, "template") else {
        errors.push(FieldError::required(&path, ""));
        return;
    };
    let template_labels = sub(sub(template, "metadata"), "labels");
    let selected = entries(spec, "selector").all(|(key, value)| template_labels.get(key) == Some(value));
    if !selected {
        let metadata = path.child("metadata");
        let detail = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid(&metadata.child("labels"), template_labels, detail));
    }
    template_spec(template, &path, errors);
    always_restarts(template, "ReplicationController", &path, errors);
}

/// A strategy that there is not, as it is printed.
fn strategy_text(strategy: &Value) -> String {
    let rolling = object(strategy, "rollingUpdate").map_or("null", |_| "{}");
    format!("{{\"Type\":{},\"RollingUpdate\":{rolling}}}", Value::from(text(strategy, "type")))
}

fn stateful_set(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    match text(spec, "podManagementPolicy") {
        "" => errors.push(FieldError::required(&path.child("podManagementPolicy"), "")),
        "OrderedReady" | "Parallel" => {}
        other => {
            let detail = "must be 'OrderedReady' or 'Parallel'";
            errors.push(FieldError::invalid_str(&path.child("podManagementPolicy"), other, detail));
        }
    }
    let strategy = sub(spec, "updateStrategy");
    let strategy_path = path.child("updateStrategy");
    match text(strategy, "type") {
        "" => errors.push(FieldError::required(&strategy_path, "")),
        "OnDelete" => {}
        "RollingUpdate" => {
            if let Some(rolling) = object(strategy, "rollingUpdate") {
                let path = strategy_path.child("rollingUpdate");
                non_negative(rolling, "partition", &path, errors);
                count_or_percent(rolling, "maxUnavailable", &path, errors);
            }
        }
        _ => {
            let detail = "must be 'RollingUpdate' or 'OnDelete'";
            errors.push(FieldError::invalid_printed(&strategy_path, strategy_text(strategy), detail));
        }
    }
    for field in ["replicas", "minReadySeconds"] {
        non_negative(spec, field, path, errors);
    }
    let service = text(spec, "serviceName");
    if !service.is_empty() {
        invalid_each(errors, &path.child("serviceName"), service, names::dns1123_label(service));
    }
    required_selector(spec, "statefulset", path, errors);
    template(spec, "StatefulSet", path, errors);
    // Once more, as the apiserver does.
    template_metadata(sub(spec, "template"), &path.child("template"), errors);
}

fn daemon_set(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let found = object(spec, "selector");
    let selector_path = path.child("selector");
    label_selector(found, &selector_path, errors);
    if let Some(found) = found.filter(|found| selector::is_empty(found)) {
        let detail = "empty selector is invalid for daemonset";
        errors.push(FieldError::invalid(&selector_path, found, detail));
    }
    template(spec, "DaemonSet", path, errors);
    non_negative(spec, "minReadySeconds", path, errors);
    daemon_set_strategy(sub(spec, "updateStrategy"), &path.child("updateStrategy"), errors);
    non_negative(spec, "revisionHistoryLimit", path, errors);
}

fn daemon_set_strategy(strategy: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    match text(strategy, "type") {
        "OnDelete" => {}
        "RollingUpdate" => {
            let path = path.child("rollingUpdate");
            let Some(rolling) = object(strategy, "rollingUpdate") else {
                return errors.push(FieldError::required(&path, ""));
            };
            for field in ["maxUnavailable", "maxSurge"] {
                count_or_percent(rolling, field, &path, errors);
            }
            for field in ["maxUnavailable", "maxSurge"] {
                not_over_hundred(rolling, field, &path, errors);
            }
            let (unavailable, surge) = (sub(rolling, "maxUnavailable"), sub(rolling, "maxSurge"));
            match (is_zero(unavailable), is_zero(surge)) {
                (true, true) => {
                    let detail = "cannot be 0 when maxSurge is 0";
                    errors.push(FieldError::required(&path.child("maxUnavailable"), detail));
                }
                (false, false) => {
                    let detail = "may not be set when maxUnavailable is non-zero";
                    errors.push(FieldError::invalid(&path.child("maxSurge"), surge, detail));
                }
                _ => {}
            }
        }
        _ => {
            let mut error = FieldError::not_supported(path, "", &["RollingUpdate", "OnDelete"]);
            error.value = strategy_text(strategy);
            errors.push(error);
        }
    }
}

fn job(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"] {
        non_negative(spec, field, path, errors);
    }
    let mode = text(spec, "completionMode");
    if !mode.is_empty() {
        if !["Indexed", "NonIndexed"].contains(&mode) {
            let allowed = ["NonIndexed", "Indexed"];
            errors.push(FieldError::not_supported(&path.child("completionMode"), mode, &allowed));
        } else if mode == "Indexed" && int(spec, "completions").is_none() {
            let detail = "when completion mode is Indexed";
            errors.push(FieldError::required(&path.child("completions"), detail));
        }
    }
    let template = sub(spec, "template");
    let path = path.child("template");
    template_spec(template, &path, errors);
    let path = path.child("spec");
    let policy = text(sub(template, "spec"), "restartPolicy");
    let path = path.child("restartPolicy");
    match policy {
        "Always" | "" => errors.push(FieldError::required(&path, "valid values: \"OnFailure\", \"Never\"")),
        "OnFailure" | "Never" => {}
        other => errors.push(FieldError::not_supported(&path, other, &["OnFailure", "Never"])),
    }
}

/// A selector that was made for a Job and then added to selects other pods as well.
fn generated_selector(value: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (metadata, spec) = (sub(value, "metadata"), sub(value, "spec"));
    let Some(found) = object(spec, "selector").filter(|_| !is_set(spec, "manualSelector")) else { return };
    let (uid, name) = (text(metadata, "uid"), text(metadata, "name"));
    let own = json!({
        "controller-uid": uid, "job-name": name,
        "batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name,
    });
    if !selector::matches(found, &own) {
        let detail = "`selector` not auto-generated";
        errors.push(FieldError::invalid_printed(&path.child("selector"), selector::printed(found), detail));
    }
}

/// The selector of a Job, made for it or its own, selects the pods that it will have.
fn job_selector(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let selector_path = path.child("selector");
    let Some(found) = object(spec, "selector") else {
        return errors.push(FieldError::required(&selector_path, ""));
    };
    label_selector(Some(found), &selector_path, errors);
    let template_labels = sub(sub(sub(spec, "template"), "metadata"), "labels");
    if !selector::matches(found, template_labels) {
        let path = path.child("template");
        let path = path.child("metadata");
        let detail = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid(&path.child("labels"), template_labels, detail));
    }
}

fn cron_job(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let schedule = text(spec, "schedule");
    let schedule_path = path.child("schedule");
    if schedule.is_empty() {
        errors.push(FieldError::required(&schedule_path, ""));
    } else {
        cron_schedule(schedule, &schedule_path, errors);
    }
    non_negative(spec, "startingDeadlineSeconds", path, errors);
    let policies = ["Allow", "Forbid", "Replace"];
    container::one_of(spec, "concurrencyPolicy", &policies, path, errors);
    let spec_path = path;
    let path = path.child("jobTemplate");
    let path = path.child("spec");
    job(sub(sub(spec, "jobTemplate"), "spec"), &path, errors);
    for field in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        non_negative(spec, field, spec_path, errors);
    }
}

fn cron_schedule(schedule: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    // A zone in front is read, and refused after that.
    let zoned = schedule.starts_with("TZ=") || schedule.starts_with("CRON_TZ=");
    let fields: Vec<&str> = schedule.split_whitespace().skip(usize::from(zoned)).collect();
    if !fields.first().is_some_and(|first| first.starts_with('@')) && fields.len() != 5 {
        let detail = format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" "));
        errors.push(FieldError::invalid_str(path, schedule, detail));
    }
    if schedule.contains("TZ") {
        let detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        errors.push(FieldError::invalid_str(path, schedule, detail));
    }
}
