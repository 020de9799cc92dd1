//! Controllers of pods.

use apimachinery::value::Value;

use super::{claim_spec, default_text, pod};
use crate::objects::get::{self, default, list_mut, sub_mut, text};

fn template(spec: &mut Value) {
    if let Some(spec) = sub_mut(spec, "template").and_then(|template| sub_mut(template, "spec")) {
        pod::spec(spec);
    }
}

pub(super) fn replication_controller(object: &mut Value) {
    let labels = get::sub(get::sub(get::sub(object, "spec"), "template"), "metadata").get("labels").cloned();
    let own = get::sub(object, "metadata").get("labels").is_some_and(|labels| !labels.is_null());
    let Some(spec) = sub_mut(object, "spec") else { return };
    if spec.get("template").is_some_and(Value::is_object) {
        template(spec);
    }
    default(spec, "replicas", 1);
    if let Some(labels) = labels {
        if get::entries(spec, "selector").next().is_none() {
            get::set(spec, "selector", labels.clone());
        }
        if !own && let Some(metadata) = sub_mut(object, "metadata") {
            get::set(metadata, "labels", labels);
        }
    }
}

pub(super) fn apps(kind: &str, object: &mut Value) {
    if kind == "DaemonSet" {
        // The old counter of templates lives in an annotation.
        if let Some(notes) = sub_mut(object, "metadata").and_then(|metadata| sub_mut(metadata, "annotations")) {
            default(notes, "deprecated.daemonset.template.generation", "0");
        }
    }
    let Some(spec) = sub_mut(object, "spec") else { return };
    match kind {
        "Deployment" => {
            template(spec);
            default(spec, "replicas", 1);
            default(spec, "revisionHistoryLimit", 10);
            default(spec, "progressDeadlineSeconds", 600);
            if let Some(strategy) = sub_mut(spec, "strategy") {
                default_text(strategy, "type", "RollingUpdate");
                if text(strategy, "type") == "RollingUpdate"
                    && let Some(rolling) = sub_mut(strategy, "rollingUpdate")
                {
                    default(rolling, "maxUnavailable", "25%");
                    default(rolling, "maxSurge", "25%");
                }
            }
        }
        "ReplicaSet" => {
            template(spec);
            default(spec, "replicas", 1);
        }
        "StatefulSet" => stateful_set(spec),
        "DaemonSet" => {
            template(spec);
            default(spec, "revisionHistoryLimit", 10);
            if let Some(strategy) = sub_mut(spec, "updateStrategy") {
                default_text(strategy, "type", "RollingUpdate");
                if text(strategy, "type") == "RollingUpdate"
                    && let Some(rolling) = sub_mut(strategy, "rollingUpdate")
                {
                    default(rolling, "maxUnavailable", 1);
                    default(rolling, "maxSurge", 0);
                }
            }
        }
        _ => {}
    }
}

fn stateful_set(spec: &mut Value) {
    template(spec);
    default(spec, "replicas", 1);
    default(spec, "revisionHistoryLimit", 10);
    default_text(spec, "podManagementPolicy", "OrderedReady");
    if let Some(strategy) = sub_mut(spec, "updateStrategy") {
        let unset = text(strategy, "type").is_empty();
        default_text(strategy, "type", "RollingUpdate");
        if text(strategy, "type") == "RollingUpdate"
            && (unset || strategy.get("rollingUpdate").is_some())
            && let Some(rolling) = sub_mut(strategy, "rollingUpdate")
        {
            default(rolling, "partition", 0);
        }
    }
    if let Some(policy) = sub_mut(spec, "persistentVolumeClaimRetentionPolicy") {
        default_text(policy, "whenDeleted", "Retain");
        default_text(policy, "whenScaled", "Retain");
    }
    for claim in list_mut(spec, "volumeClaimTemplates") {
        default_text(claim, "kind", "PersistentVolumeClaim");
        default_text(claim, "apiVersion", "v1");
        if let Some(status) = sub_mut(claim, "status") {
            default_text(status, "phase", "Pending");
        }
        if let Some(spec) = sub_mut(claim, "spec") {
            claim_spec(spec);
        }
    }
}

pub(super) fn batch(kind: &str, object: &mut Value) {
    if kind == "Job" {
        job_labels(object);
    }
    let Some(spec) = sub_mut(object, "spec") else { return };
    match kind {
        "Job" => job(spec),
        "CronJob" => {
            default_text(spec, "concurrencyPolicy", "Allow");
            default(spec, "suspend", false);
            default(spec, "successfulJobsHistoryLimit", 3);
            default(spec, "failedJobsHistoryLimit", 1);
            // The job's own defaults wait until there is a job; only its pods' are filled in.
            if let Some(job) = sub_mut(spec, "jobTemplate").and_then(|job| sub_mut(job, "spec")) {
                template(job);
            }
        }
        _ => {}
    }
}

/// A Job without labels has those of its pods; the apiserver fills them in whenever it reads one, from etcd as well.
pub(crate) fn job_labels(object: &mut Value) {
    let labels = get::sub(get::sub(get::sub(object, "spec"), "template"), "metadata").get("labels").cloned();
    let own = get::sub(object, "metadata").get("labels").and_then(Value::as_object).is_some_and(|own| !own.is_empty());
    let labels = labels.filter(|labels| !own && labels.as_object().is_some_and(|labels| !labels.is_empty()));
    if let Some((metadata, labels)) = sub_mut(object, "metadata").zip(labels) {
        get::set(metadata, "labels", labels);
    }
}

fn job(spec: &mut Value) {
    template(spec);
    if spec.get("completions").is_none() && spec.get("parallelism").is_none() {
        default(spec, "completions", 1);
    }
    default(spec, "parallelism", 1);
    let per_index = spec.get("backoffLimitPerIndex").is_some();
    default(spec, "backoffLimit", if per_index { 2_147_483_647 } else { 6 });
    default(spec, "completionMode", "NonIndexed");
    default(spec, "suspend", false);
    default(spec, "manualSelector", false);
    let failed_only = spec.get("podFailurePolicy").is_some();
    default(spec, "podReplacementPolicy", if failed_only { "Failed" } else { "TerminatingOrFailed" });
    if let Some(policy) = spec.get_mut("podFailurePolicy").filter(|policy| policy.is_object()) {
        for rule in list_mut(policy, "rules") {
            for pattern in list_mut(rule, "onPodConditions") {
                default_text(pattern, "status", "True");
            }
        }
    }
}
