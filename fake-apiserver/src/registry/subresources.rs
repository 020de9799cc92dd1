//! Subresources with a kind of their own: scale, binding, eviction, token, and those that connect.

use std::sync::Arc;

use apimachinery::value::{List, Map, Value, json};

use super::admit::Admission;
use super::call::{Call, Content, Reply};
use super::meta::{self, text};
use super::{delete, seam};
use crate::admission::{Operation, Rejection};
use crate::auth::tokens::{Bound, Tokens};
use crate::core::Shared;
use crate::refusal;
use crate::time;

/// Answers a call to a subresource whose kind is not the resource's own.
pub(crate) async fn serve(core: &Shared, call: &mut Call, name: &str) -> Result<Reply, Rejection> {
    match (name, call.verb) {
        ("scale", "get") => {
            let stored = stored(core, call)?;
            Ok(Reply::ok(Content::Value(scale_of(call, stored.value()))))
        }
        ("scale", _) => scale(core, call).await,
        ("binding", _) => binding(core, call).await,
        ("eviction", _) => eviction(core, call).await,
        ("token", _) => token(core, call).await,
        ("exec" | "attach" | "portforward" | "proxy", _) => super::connect::connect(core, call).await,
        _ => Err(refusal::method_not_allowed()),
    }
}

fn stored(core: &Shared, call: &Call) -> Result<std::sync::Arc<crate::store::Object>, Rejection> {
    core.store.get(&call.resource.table, &call.namespace, &call.name).ok_or_else(|| call.not_found())
}

/// The Scale of a workload.
fn scale_of(call: &Call, object: &Value) -> Value {
    let metadata = &object["metadata"];
    let mut meta = Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = metadata.get(field) {
            meta.insert(field.to_owned(), value.clone());
        }
    }
    let selector = match &object["spec"]["selector"] {
        Value::Object(fields) if !fields.contains_key("matchLabels") && !fields.contains_key("matchExpressions") => {
            json!({"matchLabels": fields})
        }
        other => other.clone(),
    };
    let selector = apimachinery::labels::Selector::from_label_selector(&selector).map(|selector| selector.to_string());
    let replicas = object["spec"]["replicas"].as_i64().unwrap_or(0);
    let mut status = json!({"replicas": object["status"]["replicas"].as_i64().unwrap_or(0)});
    if let Ok(selector) = selector
        && !call.resource.is_custom()
    {
        status["selector"] = selector.into();
    }
    let spec = if replicas == 0 { json!({}) } else { json!({"replicas": replicas}) };
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta, "spec": spec, "status": status})
}

/// The Scale with those who set the replicas, as a patch shows it to webhooks (`matchpolicy/scale-exact`).
fn tracked_scale(call: &Call, object: &Value) -> Value {
    let mut scale = scale_of(call, object);
    let owners: Vec<Value> = object["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry["fieldsV1"]["f:spec"]["f:replicas"].is_object())
        .map(|entry| {
            let mut entry = entry.clone();
            entry["apiVersion"] = "autoscaling/v1".into();
            entry["fieldsV1"] = json!({"f:spec": {"f:replicas": {}}});
            entry
        })
        .collect();
    if !owners.is_empty() {
        scale["metadata"]["managedFields"] = owners.into();
    }
    scale
}

async fn scale(core: &Shared, call: &mut Call) -> Result<Reply, Rejection> {
    let options = meta::options(call, "UpdateOptions")?;
    let stored = stored(core, call)?;
    let old_scale = match call.verb {
        "patch" => tracked_scale(call, &stored.whole()),
        _ => scale_of(call, stored.value()),
    };
    let gvk =
        call.subresource.as_ref().map_or_else(|| call.resource.gvk.clone(), |subresource| subresource.gvk.clone());
    let mut wanted = match call.verb {
        "patch" => seam::patch(core, call, &old_scale)?,
        _ => {
            let body = call.body.clone();
            seam::decode(core, call, &gvk, &body)?
        }
    };
    meta::check_name(call, &mut wanted)?;
    meta::check_names(call, &mut wanted)?;
    let mut admission = Admission::new(core, call, Operation::Update, Some(options.clone()));
    admission.attributes.object = Some(wanted);
    admission.attributes.old_object = Some(Arc::new(old_scale.clone()));
    let outcome = async {
        admission.mutate(core).await?;
        // Validating hooks do not see who set the replicas (`rules/star-scale`).
        let old_object = admission.attributes.old_object.as_mut().map(Arc::make_mut);
        let shown = admission.attributes.object.as_mut().into_iter().chain(old_object);
        for metadata in shown.filter_map(|scale| scale["metadata"].as_object_mut()) {
            metadata.remove("managedFields");
        }
        let wanted = admission.attributes.object.clone().unwrap_or_default();
        let replicas = wanted["spec"]["replicas"].as_i64().unwrap_or(0);
        if replicas < 0 {
            let cause =
                refusal::Cause::invalid("spec.replicas", &replicas.to_string(), "must be greater than or equal to 0");
            return Err(refusal::invalid("autoscaling", "Scale", &call.name, &[cause]));
        }
        admission.validate(core).await?;
        Ok(wanted)
    }
    .await;
    super::create::adopt_warnings(call, &mut admission);
    admission.record(core, outcome.as_ref().err());
    let wanted = outcome?;
    let replicas = wanted["spec"]["replicas"].as_i64().unwrap_or(0);
    let version = text(&wanted["metadata"], "resourceVersion").to_owned();
    let written = write_past_admission(core, call, true, move |object| {
        if !version.is_empty() && call_version(object) != version {
            return Err(());
        }
        object["spec"]["replicas"] = replicas.into();
        Ok(())
    })?;
    Ok(Reply::ok(Content::Value(scale_of(call, &written))))
}

fn call_version(object: &Value) -> &str {
    text(&object["metadata"], "resourceVersion")
}

/// Changes the stored object itself, as the registry does behind a subresource whose own object was admitted. An error of
/// `change` is a conflict.
fn write_past_admission(
    core: &Shared,
    call: &Call,
    track: bool,
    change: impl Fn(&mut Value) -> Result<(), ()>,
) -> Result<Arc<Value>, Rejection> {
    loop {
        let stored = stored(core, call)?;
        let old = seam::read_from_storage(&call.resource, &stored);
        let mut new = (*old).clone();
        let moved =
            || refusal::conflict(&call.resource.gvk.group, &call.resource.plural, &call.name, refusal::MODIFIED);
        change(&mut new).map_err(|()| moved())?;
        if track {
            seam::track_subresource(core, call, &mut new, &old);
        }
        if new["spec"] != old["spec"]
            && old["metadata"]["generation"].is_i64()
            && call.resource.plural.as_ref() != "pods"
        {
            new["metadata"]["generation"] = (old["metadata"]["generation"].as_i64().unwrap_or(0) + 1).into();
        }
        if call.dry_run() || new == *old {
            return Ok(new.into());
        }
        match core.store.update(&call.resource.table, stored.revision(), seam::to_storage(&call.resource, new)) {
            Ok(written) => return Ok(seam::as_read(&call.resource, written.shared())),
            Err(crate::store::WriteError::Changed) => {}
            Err(_) => return Err(call.not_found()),
        }
    }
}

fn created() -> Reply {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Reply { code: 201, content: Content::Status(status) }
}

/// Decodes the body as the subresource's kind and sends it through admission as a CREATE.
async fn admitted(core: &Shared, call: &mut Call, dry_run_in_body: bool) -> Result<Value, Rejection> {
    let options = meta::options(call, "CreateOptions")?;
    let gvk =
        call.subresource.as_ref().map_or_else(|| call.resource.gvk.clone(), |subresource| subresource.gvk.clone());
    let body = call.body.clone();
    let mut object = seam::decode(core, call, &gvk, &body)?;
    meta::check_name(call, &mut object)?;
    meta::check_names(call, &mut object)?;
    seam::track_create(core, call, &mut object);
    let mut admission = Admission::new(core, call, Operation::Create, Some(options));
    if dry_run_in_body && object["deleteOptions"]["dryRun"].as_array().is_some_and(|values| !values.is_empty()) {
        admission.attributes.dry_run = call.dry_run();
    }
    admission.attributes.object = Some(object);
    let outcome = async {
        admission.mutate(core).await?;
        admission.validate(core).await
    }
    .await;
    let object = admission.attributes.object.take().unwrap_or_default();
    super::create::adopt_warnings(call, &mut admission);
    admission.record(core, outcome.as_ref().err());
    outcome.map(|()| object)
}

/// POST of pods/binding: the pod goes to a node.
async fn binding(core: &Shared, call: &mut Call) -> Result<Reply, Rejection> {
    let binding = admitted(core, call, false).await?;
    let node = text(&binding["target"], "name").to_owned();
    let pod = stored(core, call)?;
    let assigned = text(&pod.value()["spec"], "nodeName");
    let refuse = |why: String| refusal::conflict("", "pods/binding", &call.name, &why);
    if !assigned.is_empty() {
        return Err(refuse(format!("pod {} is already assigned to node {assigned:?}", call.name)));
    }
    if pod.metadata().contains_key("deletionTimestamp") {
        return Err(refuse(format!("pod {} is being deleted, cannot be assigned to a host", call.name)));
    }
    let now = core.clock.now().rfc3339();
    write_past_admission(core, call, false, |pod| {
        pod["spec"]["nodeName"] = node.as_str().into();
        for (name, value) in binding["metadata"]["annotations"].as_object().into_iter().flatten() {
            pod["metadata"]["annotations"][name] = value.clone();
        }
        let scheduled =
            json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now});
        match pod["status"]["conditions"].as_array_mut() {
            Some(conditions) => {
                conditions.retain(|condition| condition["type"] != "PodScheduled");
                conditions.push(scheduled);
            }
            None => pod["status"]["conditions"] = json!([scheduled]),
        }
        Ok(())
    })?;
    Ok(created())
}

/// POST of pods/eviction: a deletion that respects disruption budgets.
async fn eviction(core: &Shared, call: &mut Call) -> Result<Reply, Rejection> {
    let eviction = admitted(core, call, true).await?;
    let pod = stored(core, call)?;
    if let Some(refusal) = super::eviction::refusal(core, &call.namespace, &pod) {
        return Err(refusal);
    }
    let mut options = eviction["deleteOptions"].clone();
    if !options.is_object() {
        options = json!({});
    }
    options["kind"] = "DeleteOptions".into();
    options["apiVersion"] = "meta.k8s.io/v1".into();
    if call.dry_run() {
        options["dryRun"] = json!(["All"]);
    }
    // The deletion itself is not reviewed (NOTES 10).
    delete::remove_quietly(core, call, pod, options)?;
    Ok(created())
}

/// POST of serviceaccounts/token.
async fn token(core: &Shared, call: &mut Call) -> Result<Reply, Rejection> {
    let account = stored(core, call)?;
    let options = meta::options(call, "CreateOptions")?;
    let gvk =
        call.subresource.as_ref().map_or_else(|| call.resource.gvk.clone(), |subresource| subresource.gvk.clone());
    let body = call.body.clone();
    let mut object = seam::decode(core, call, &gvk, &body)?;
    if !object["spec"].is_object() {
        object["spec"] = json!({});
    }
    let spec = &mut object["spec"];
    if spec["expirationSeconds"].is_null() {
        spec["expirationSeconds"] = 3600.into();
    }
    seam::track_create(core, call, &mut object);
    if object["spec"]["boundObjectRef"].is_null() {
        object["spec"]["boundObjectRef"] = Value::Null;
    }
    object["metadata"]["namespace"] = account.namespace().into();
    object["status"] = json!({"token": "", "expirationTimestamp": null});
    let mut admission = Admission::new(core, call, Operation::Create, Some(options));
    admission.attributes.object = Some(object);
    let outcome = async {
        admission.mutate(core).await?;
        admission.validate(core).await
    }
    .await;
    let mut object = admission.attributes.object.take().unwrap_or_default();
    super::create::adopt_warnings(call, &mut admission);
    admission.record(core, outcome.as_ref().err());
    outcome?;
    let seconds = object["spec"]["expirationSeconds"].as_i64().unwrap_or(3600);
    let refuse = |why: &str| {
        let cause = refusal::Cause::invalid("spec.expirationSeconds", &seconds.to_string(), why);
        refusal::invalid("authentication.k8s.io", "TokenRequest", "", &[cause])
    };
    if seconds < 600 {
        return Err(refuse("may not specify a duration less than 10 minutes"));
    }
    if seconds > 1 << 32 {
        return Err(refuse("may not specify a duration larger than 2^32 seconds"));
    }
    if object["spec"]["audiences"].as_array().is_none_or(List::is_empty) {
        object["spec"]["audiences"] = json!([crate::auth::tokens::ISSUER]);
    }
    if object["spec"]["boundObjectRef"].is_null() {
        object["spec"]["boundObjectRef"] = Value::Null;
    }
    let bound = bound(core, call, &object["spec"]["boundObjectRef"])?;
    let audiences: Vec<String> = object["spec"]["audiences"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let now = core.clock.now();
    let name = (account.name(), account.meta("uid"));
    let token =
        core.tokens.issue(&core.random, &call.namespace, name, &audiences, bound.as_ref(), time::seconds(now), seconds);
    let Some(token) = token else { return Err(Rejection::internal("failed to generate token")) };
    if let (Some(record), Some(id)) = (&call.audit, Tokens::credential_id(&token)) {
        record.annotate("authentication.kubernetes.io/issued-credential-id", &id);
    }
    let metadata = &mut object["metadata"];
    metadata["name"] = account.name().into();
    metadata["uid"] = account.meta("uid").into();
    metadata["creationTimestamp"] = now.rfc3339().into();
    object["status"] = json!({"token": token, "expirationTimestamp": time::later(now, seconds).rfc3339()});
    Ok(Reply { code: 201, content: Content::Value(object) })
}

/// The object that a token is to be bound to, checked.
fn bound(core: &Shared, call: &Call, reference: &Value) -> Result<Option<Bound>, Rejection> {
    if !reference.is_object() {
        return Ok(None);
    }
    let (kind, table, namespace): (&'static str, &str, &str) = match text(reference, "kind") {
        "Pod" => ("pod", "pods", &call.namespace),
        "Secret" => ("secret", "secrets", &call.namespace),
        "Node" => ("node", "nodes", ""),
        other => {
            let message = format!("cannot bind token for serviceaccount {:?} to object of type {other:?}", call.name);
            return Err(Rejection::bad_request(&message));
        }
    };
    let name = text(reference, "name");
    let object = core.store.get(table, namespace, name).ok_or_else(|| Rejection::not_found("", table, name))?;
    let uid = text(reference, "uid");
    if !uid.is_empty() && uid != object.meta("uid") {
        let why = format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
        );
        return Err(refusal::conflict("", text(reference, "kind"), name, &why));
    }
    Ok(Some(Bound { kind, name: name.to_owned(), uid: object.meta("uid").to_owned() }))
}

/// POST of a Binding to the collection of bindings: the pod that it names is bound.
pub(crate) async fn bind_by_name(core: &Shared, call: &mut Call) -> Result<Reply, Rejection> {
    let gvk = call.resource.gvk.clone();
    let body = call.body.clone();
    let binding = seam::decode(core, call, &gvk, &body)?;
    let Some(pods) = core.registry.find("", "v1", "pods") else { return Err(refusal::no_such_resource()) };
    call.name = text(&binding["metadata"], "name").to_owned();
    call.subresource = pods.subresource("binding").cloned();
    call.resource = pods;
    self::binding(core, call).await
}
