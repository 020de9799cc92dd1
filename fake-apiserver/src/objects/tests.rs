//! The recorded vectors, fed through decoding, defaults, managed fields, strategy and validation as a create would.

use std::path::PathBuf;

use apimachinery::value::{Value, json};

use super::decode::{FieldValidation, Format};
use super::managed_fields::Writer;
use super::{Target, decode, defaults, field, get, managed_fields, strategy, validation, warnings};

/// The recordings, if they are beside this workspace.
fn vectors() -> Option<PathBuf> {
    let directory = std::env::var_os("APISERVER_VECTORS")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/apiserver/vectors"));
    if directory.is_dir() {
        return Some(directory);
    }
    eprintln!("SKIPPED: no recorded vectors at {} (set APISERVER_VECTORS)", directory.display());
    None
}

/// A recorded POST and its answer.
struct Create {
    place: String,
    path: String,
    body: Value,
    status: i64,
    answer: Value,
    warnings: Vec<String>,
    /// Whether webhooks were called on the way.
    mutated: bool,
}

fn creates(groups: &[&str]) -> Vec<Create> {
    let mut out = Vec::new();
    let Some(directory) = vectors() else { return out };
    for group in groups {
        let mut files: Vec<_> =
            std::fs::read_dir(directory.join(group)).expect("a group").flatten().map(|file| file.path()).collect();
        files.sort();
        for file in files {
            let case: Value = serde_json::from_slice(&std::fs::read(&file).expect("a case")).expect("JSON");
            let name = format!("{group}/{}", file.file_stem().expect("a name").to_string_lossy());
            for step in get::list(&case, "setup") {
                if get::text(step, "method") == "POST" {
                    out.push(Create {
                        place: format!("{name} setup"),
                        path: get::text(step, "path").to_owned(),
                        body: step["body"].clone(),
                        status: step["status"].as_i64().unwrap_or(0),
                        answer: step["responseBody"].clone(),
                        warnings: Vec::new(),
                        mutated: true,
                    });
                }
            }
            for step in get::list(&case, "steps") {
                let request = get::sub(step, "request");
                if get::text(request, "method") == "POST" && request["body"].is_object() {
                    let response = &step["response"];
                    let headers = response["headers"].as_array().cloned().unwrap_or_default();
                    out.push(Create {
                        place: name.clone(),
                        path: get::text(request, "path").to_owned(),
                        body: request["body"].clone(),
                        status: response["status"].as_i64().unwrap_or(0),
                        answer: response["body"].clone(),
                        warnings: headers
                            .iter()
                            .filter(|header| header[0] == "Warning")
                            .filter_map(|header| header[1].as_str()?.strip_prefix("299 - "))
                            .filter_map(|text| serde_json::from_str(text).ok())
                            .collect(),
                        mutated: !get::list(step, "webhookCalls").is_empty(),
                    });
                }
            }
        }
    }
    out
}

fn namespace_of(path: &str) -> Option<String> {
    let (_, rest) = path.split_once("/namespaces/")?;
    let (namespace, resource) = rest.split_once('/')?;
    (!resource.is_empty()).then(|| namespace.to_owned())
}

/// What a create without webhooks and plugins makes of a body.
fn create(target: Target<'_>, create: &Create) -> Result<(Value, Vec<String>), Value> {
    let body = serde_json::to_vec(&create.body).expect("JSON");
    let decoded = decode::decode(target, &body, Format::Json, FieldValidation::Warn)?;
    let mut object = decoded.object;
    if let Some(metadata) = get::sub_mut(&mut object, "metadata") {
        for field in ["uid", "creationTimestamp", "deletionTimestamp", "selfLink"] {
            get::remove(metadata, field);
        }
    }
    let namespace = namespace_of(&create.path);
    if let (Some(namespace), Some(metadata)) = (&namespace, get::sub_mut(&mut object, "metadata")) {
        get::set(metadata, "namespace", namespace.as_str());
    }
    if namespace.is_none()
        && let Some(metadata) = get::sub_mut(&mut object, "metadata")
    {
        get::remove(metadata, "namespace");
    }
    defaults::apply(target, &mut object);
    let writer = Writer { manager: "refclient", subresource: "", time: "2026-01-01T00:00:00Z" };
    managed_fields::update(target, None, &mut object, &writer);
    let uid = get::text(&create.answer["metadata"], "uid").to_owned();
    strategy::prepare_create(target, &mut object, &uid, &|| "2026-01-01T00:00:00Z".to_owned(), &defaults::qos_class);
    // By then an object has its uid, which this comparison leaves out.
    let mut whole = object.clone();
    if let Some(metadata) = get::sub_mut(&mut whole, "metadata") {
        get::set(metadata, "uid", uid);
    }
    let errors = validation::create(target, &whole, namespace.is_some());
    if !errors.is_empty() {
        let name = get::text(&object["metadata"], "name").to_owned();
        return Err(field::invalid_status(target, &name, &errors));
    }
    strategy::forget_empty_lists(target, &mut object);
    let mut texts = decoded.warnings;
    texts.extend(warnings::created(target, &object));
    Ok((object, texts))
}

fn target(object: &Value) -> (String, String, String) {
    let api_version = get::text(object, "apiVersion");
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    (group.to_owned(), version.to_owned(), get::text(object, "kind").to_owned())
}

#[test]
fn pods_are_refused_as_recorded() {
    let mut wrong = Vec::new();
    let mut right = 0;
    for recorded in creates(&["pod-validation"]) {
        // Refused by admission, which is not here.
        if recorded.status == 403 || get::text(&recorded.body, "kind") != "Pod" {
            continue;
        }
        let mut recorded = recorded;
        // The service account of a recorded pod was set by admission.
        if recorded.body["spec"].is_object() {
            recorded.body["spec"]["serviceAccountName"] = json!("default");
        }
        if recorded.body["metadata"]["name"].is_null() && recorded.body["metadata"]["generateName"].is_string() {
            recorded.body["metadata"]["name"] = recorded.answer["details"]["name"].clone();
        }
        match (create(Target::new("", "v1", "Pod"), &recorded), recorded.status) {
            (Ok((_, texts)), 201) if texts == recorded.warnings => right += 1,
            (Ok((_, texts)), status) => wrong.push(format!("{}: {status} allowed, {texts:?}", recorded.place)),
            (Err(answer), _) if answer == recorded.answer => right += 1,
            (Err(answer), _) => {
                wrong.push(format!("{}:\n  {}\n  {}", recorded.place, answer["message"], recorded.answer["message"]));
            }
        }
    }
    eprintln!("{right} pods as recorded");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Takes out what only admission, allocation or the store put in.
fn comparable(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata") {
        for field in ["uid", "resourceVersion", "creationTimestamp", "name"] {
            get::remove(metadata, field);
        }
        for entry in get::list_mut(metadata, "managedFields") {
            get::remove(entry, "time");
        }
    }
    if let Some(spec) = object.get_mut("spec") {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "taints"] {
            get::remove(spec, field);
        }
        if object["kind"] == "Pod" {
            let spec = &mut object["spec"];
            for field in [
                "serviceAccountName",
                "serviceAccount",
                "tolerations",
                "priority",
                "preemptionPolicy",
                "imagePullSecrets",
            ] {
                get::remove(spec, field);
            }
            if let Some(volumes) = spec["volumes"].as_array_mut() {
                volumes.retain(|volume| !get::text(volume, "name").starts_with("kube-api-access"));
            }
            for list in ["containers", "initContainers"] {
                for container in get::list_mut(spec, list) {
                    if let Some(mounts) = container.get_mut("volumeMounts").and_then(Value::as_array_mut) {
                        mounts.retain(|mount| !get::text(mount, "name").starts_with("kube-api-access"));
                    }
                    if get::list(container, "volumeMounts").is_empty() {
                        get::remove(container, "volumeMounts");
                    }
                }
            }
            if get::list(spec, "volumes").is_empty() {
                get::remove(spec, "volumes");
            }
        }
    }
    object
}

#[test]
fn objects_are_stored_as_recorded() {
    let groups = [
        "api-basics",
        "config-validation",
        "controllers",
        "operations",
        "pod-create",
        "pod-validation",
        "policies",
        "matchpolicy",
    ];
    let mut wrong = Vec::new();
    let mut right = 0;
    for recorded in creates(&groups) {
        let (group, version, kind) = target(&recorded.body);
        let target = Target::new(&group, &version, &kind);
        let unnamed = recorded.body["metadata"]["name"].is_null();
        let skipped = recorded.status != 201
            || (recorded.mutated && (kind == "Pod" || !recorded.place.ends_with("setup")))
            || decode::zero(target).is_none()
            || unnamed
            // Its token needs the service account that admission sets.
            || recorded.place.ends_with("projected-conflict")
            || kind.ends_with("Review")
            || matches!(kind.as_str(), "Binding" | "Eviction" | "TokenRequest" | "CustomResourceDefinition");
        if skipped || recorded.answer["kind"] != recorded.body["kind"] {
            continue;
        }
        match create(target, &recorded) {
            Ok((object, _)) => {
                let (ours, theirs) = (comparable(&object), comparable(&recorded.answer));
                if ours == theirs {
                    right += 1;
                } else {
                    wrong.push(format!("{} {kind}:\n  {ours}\n  {theirs}", recorded.place));
                }
            }
            Err(status) => wrong.push(format!("{} {kind}: {}", recorded.place, status["message"])),
        }
    }
    eprintln!("{right} objects as recorded");
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), wrong.len() + right, wrong.join("\n"));
}
