//! delete and deletecollection: preconditions, grace, finalizers.

use std::sync::Arc;

use apimachinery::value::{Map, Value, json};

use super::admit::Admission;
use super::call::{Call, Content, List, Reply};
use super::create::success;
use super::meta::text;
use super::selectors::Filter;
use super::{hooks, seam};
use crate::admission::{Operation, Rejection};
use crate::core::Shared;
use crate::refusal;
use crate::store::{Object, WriteError};
use crate::time;

/// How often a deletion is tried against a moving object.
const ATTEMPTS: usize = 8;

/// Pods that do not say how long they may take to end.
const DEFAULT_GRACE: i64 = 30;

/// DeleteOptions, from the body or the query.
pub(crate) fn options(core: &Shared, call: &mut Call) -> Result<Value, Rejection> {
    let mut options = Map::new();
    if !call.body.is_empty() {
        let body = call.body.clone();
        let parsed = seam::decode_options(core, call, &body)?;
        call.audit_object(&parsed);
        if let Value::Object(fields) = parsed {
            options = fields;
        }
    }
    options.insert("kind".to_owned(), "DeleteOptions".into());
    options.insert("apiVersion".to_owned(), "meta.k8s.io/v1".into());
    if call.body.is_empty() {
        if let Some(seconds) = call.query.int("gracePeriodSeconds").map_err(|text| Rejection::bad_request(&text))? {
            options.insert("gracePeriodSeconds".to_owned(), seconds.into());
        }
        for field in ["propagationPolicy"] {
            if !call.query.get(field).is_empty() {
                options.insert(field.to_owned(), call.query.get(field).into());
            }
        }
        if call.query.find("orphanDependents").is_some() {
            options.insert("orphanDependents".to_owned(), call.query.flag("orphanDependents").into());
        }
        let dry_run: Vec<&str> = call.query.all("dryRun").filter(|value| !value.is_empty()).collect();
        if !dry_run.is_empty() {
            options.insert("dryRun".to_owned(), json!(dry_run));
        }
    }
    let mut causes = Vec::new();
    let policy = options.get("propagationPolicy").and_then(Value::as_str);
    if let Some(policy) = policy.filter(|_| options.get("orphanDependents").is_some_and(Value::is_boolean)) {
        let text = "orphanDependents and deletionPropagation cannot be both set";
        causes.push(refusal::Cause::invalid("propagationPolicy", &format!("{policy:?}"), text));
    }
    match policy {
        None | Some("Orphan" | "Background" | "Foreground") => {}
        Some(other) => causes.push(refusal::Cause::unsupported(
            "propagationPolicy",
            other,
            &["Foreground", "Background", "Orphan", "nil"],
        )),
    }
    let dry_run: Vec<&str> =
        options.get("dryRun").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    if dry_run.iter().any(|value| *value != "All") {
        causes.push(refusal::Cause::unsupported_list("dryRun", &dry_run, &["All"]));
    }
    if causes.is_empty() {
        Ok(Value::Object(options))
    } else {
        Err(refusal::invalid("meta.k8s.io", "DeleteOptions", "", &causes))
    }
}

fn is_dry_run(options: &Value) -> bool {
    options["dryRun"].as_array().is_some_and(|values| !values.is_empty())
}

/// DELETE of a named object.
pub(crate) async fn delete(core: &Shared, call: &mut Call) -> Result<Reply, Rejection> {
    let mut options = options(core, call)?;
    let stored = core.store.get(&call.resource.table, &call.namespace, &call.name).ok_or_else(|| call.not_found())?;
    // Some are deleted as the one that was found (`controllers/namespace-deletion`, `operations/custom-resource`).
    if hooks::is_deleted_by_uid(&call.resource) && options["preconditions"]["uid"].is_null() {
        options["preconditions"]["uid"] = stored.meta("uid").into();
    }
    remove(core, call, stored, options, true).await
}

/// DELETE of a collection: one after the other; the answer is the list as it was (`operations/deletecollection`).
pub(crate) async fn delete_collection(core: &Shared, call: &mut Call) -> Result<Reply, Rejection> {
    let options = options(core, call)?;
    let filter = Filter::parse(call)?;
    let (objects, revision) = core.store.list(&call.resource.table, &call.namespace);
    let items: Vec<Arc<Object>> = objects.into_iter().filter(|object| filter.matches(object)).collect();
    let namespace = std::mem::take(&mut call.namespace);
    for object in &items {
        call.name = object.name().to_owned();
        call.namespace = object.namespace().to_owned();
        let gone = remove(core, call, object.clone(), options.clone(), false).await;
        if let Err(rejection) = gone
            && rejection.code != 404
        {
            return Err(rejection);
        }
    }
    call.name.clear();
    call.namespace = namespace;
    Ok(Reply::ok(Content::List(List { items, revision, continue_token: None, remaining: None })))
}

/// Deletes one object; `named` is false for those of a collection, whose reviews have no name and no computed grace.
pub(crate) async fn remove(
    core: &Shared,
    call: &mut Call,
    mut stored: Arc<Object>,
    mut options: Value,
    named: bool,
) -> Result<Reply, Rejection> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let mut admission = Admission::new(core, call, Operation::Delete, None);
        if !named {
            admission.attributes.name.clear();
        }
        let outcome = attempt_removal(core, call, &stored, &mut options, named, &mut admission).await;
        super::create::adopt_warnings(call, &mut admission);
        admission.record(core, outcome.as_ref().err());
        match outcome? {
            Some(reply) => return Ok(reply),
            None if attempt >= ATTEMPTS => {
                return Err(refusal::conflict(
                    &call.resource.gvk.group,
                    &call.resource.plural,
                    &call.name,
                    refusal::MODIFIED,
                ));
            }
            None => {
                stored = core
                    .store
                    .get(&call.resource.table, &call.namespace, &call.name)
                    .ok_or_else(|| call.not_found())?;
            }
        }
    }
}

/// One attempt; `None` if somebody else wrote in between.
async fn attempt_removal(
    core: &Shared,
    call: &mut Call,
    stored: &Arc<Object>,
    options: &mut Value,
    named: bool,
    admission: &mut Admission,
) -> Result<Option<Reply>, Rejection> {
    check_preconditions(call, stored, options)?;
    let dry_run = is_dry_run(options);
    admission.attributes.dry_run = dry_run;
    let mut whole = stored.whole();
    let mut plan = Plan::new(core, call, &whole, options);
    let mut shown = options.clone();
    if let (true, Some(grace)) = (named, plan.option_grace) {
        shown["gracePeriodSeconds"] = grace.into();
    }
    admission.attributes.options = Some(shown);
    let mut stored = stored.clone();
    if let Some(marked) = plan.marked.take() {
        review(core, call, admission, &whole).await?;
        if dry_run {
            return Ok(Some(Reply::ok(Content::Value(marked))));
        }
        if !seam::is_unchanged(&marked, &whole) {
            match core.store.update(&call.resource.table, stored.revision(), marked) {
                Ok(written) => {
                    hooks::after_update(core, call, &written);
                    stored = written;
                }
                Err(WriteError::Changed) => return Ok(None),
                Err(_) => return Err(call.not_found()),
            }
            if plan.now {
                whole = stored.whole();
            }
        }
        if !plan.now {
            return Ok(Some(Reply::ok(Content::Stored(stored))));
        }
    } else if !plan.now {
        review(core, call, admission, &whole).await?;
        return Ok(Some(Reply::ok(Content::Stored(stored))));
    }
    review(core, call, admission, &whole).await?;
    if dry_run {
        return Ok(Some(answer(call, &stored)));
    }
    match core.store.delete(&call.resource.table, &call.namespace, &call.name, stored.revision()) {
        Ok(gone) => {
            hooks::after_delete(core, call, &gone);
            Ok(Some(answer(call, &gone)))
        }
        Err(WriteError::Changed) => Ok(None),
        Err(_) => Err(call.not_found()),
    }
}

/// One DELETE review: mutating and validating hooks.
async fn review(core: &Shared, call: &Call, admission: &mut Admission, whole: &Arc<Value>) -> Result<(), Rejection> {
    admission.attributes.object = None;
    admission.attributes.old_object = Some(seam::as_read(&call.resource, whole.clone()));
    admission.mutate(core).await?;
    admission.validate(core).await
}

/// What a client sees of something that is gone: some kinds are shown, of others a Status speaks (NOTES 35).
fn answer(call: &Call, gone: &Arc<Object>) -> Reply {
    if hooks::shows_deleted(&call.resource) {
        return Reply::ok(Content::Stored(gone.clone()));
    }
    let mut details = Map::new();
    for (field, value) in [
        ("name", gone.name()),
        ("group", &*call.resource.gvk.group),
        ("kind", &*call.resource.plural),
        ("uid", gone.meta("uid")),
    ] {
        if !value.is_empty() {
            details.insert(field.to_owned(), value.into());
        }
    }
    Reply::ok(Content::Status(success(&Value::Object(details))))
}

fn check_preconditions(call: &Call, stored: &Object, options: &Value) -> Result<(), Rejection> {
    let wanted = &options["preconditions"];
    let kind = &*call.resource.gvk.kind;
    if let Some(uid) = wanted["uid"].as_str()
        && uid != stored.meta("uid")
    {
        let why = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            stored.meta("uid")
        );
        return Err(refusal::conflict(&call.resource.gvk.group, kind, &call.name, &why));
    }
    if let Some(version) = wanted["resourceVersion"].as_str()
        && version != stored.meta("resourceVersion")
    {
        let why = format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). The object might have been modified",
            stored.meta("resourceVersion")
        );
        return Err(refusal::conflict(&call.resource.gvk.group, kind, &call.name, &why));
    }
    Ok(())
}

/// What a deletion does to an object.
struct Plan {
    /// The object with its deletion written into it, if it is to be written first.
    marked: Option<Value>,
    /// Whether it is removed now.
    now: bool,
    /// The grace period that the options come to say.
    option_grace: Option<i64>,
}

impl Plan {
    /// `object` is what is stored, whole.
    fn new(core: &Shared, call: &Call, object: &Value, options: &Value) -> Plan {
        let deleting = object["metadata"]["deletionTimestamp"].is_string();
        let mut finalizers: Vec<&str> =
            object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let propagation = match options["orphanDependents"].as_bool() {
            Some(true) => "orphan",
            Some(false) => "",
            None => match options["propagationPolicy"].as_str() {
                Some("Orphan") => "orphan",
                Some("Foreground") => "foregroundDeletion",
                _ => "",
            },
        };
        let asked_for = options["propagationPolicy"].is_string() || options["orphanDependents"].is_boolean();
        if asked_for {
            finalizers.retain(|finalizer| *finalizer != "orphan" && *finalizer != "foregroundDeletion");
            if !propagation.is_empty() {
                finalizers.push(propagation);
            }
        }
        let waits = !finalizers.is_empty() || hooks::waits_for_content(&call.resource, object);
        let graceful = hooks::is_graceful(&call.resource);
        let grace = if graceful { grace(object, options) } else { None };
        let previous = object["metadata"]["deletionGracePeriodSeconds"].as_i64();
        if deleting {
            // A second deletion can only shorten the grace.
            let shorter = grace
                .filter(|_| options["gracePeriodSeconds"].is_i64())
                .filter(|grace| previous.is_some_and(|previous| *grace < previous));
            let Some(grace) = shorter else {
                let now = !waits && previous.unwrap_or(0) == 0;
                return Plan { marked: None, now, option_grace: None };
            };
            let mut marked = object.clone();
            mark(core, &mut marked, grace);
            return Plan { marked: Some(marked), now: grace == 0 && !waits, option_grace: Some(grace) };
        }
        if !graceful && !waits {
            return Plan { marked: None, now: true, option_grace: None };
        }
        let mut marked = object.clone();
        if asked_for {
            match finalizers.is_empty() {
                true => {
                    if let Some(metadata) = marked["metadata"].as_object_mut() {
                        metadata.remove("finalizers");
                    }
                }
                false => marked["metadata"]["finalizers"] = json!(finalizers),
            }
        }
        mark(core, &mut marked, grace.unwrap_or(0));
        if let Some(generation) = marked["metadata"]["generation"].as_i64()
            && !hooks::waits_for_content(&call.resource, object)
        {
            marked["metadata"]["generation"] = (generation + 1).into();
        }
        hooks::mark_terminating(&call.resource, &mut marked);
        Plan { marked: Some(marked), now: grace.unwrap_or(0) == 0 && !waits, option_grace: grace }
    }
}

/// Writes when the object will be gone.
fn mark(core: &Shared, object: &mut Value, grace: i64) {
    let end = time::later(core.clock.now(), grace);
    object["metadata"]["deletionTimestamp"] = end.rfc3339().into();
    object["metadata"]["deletionGracePeriodSeconds"] = grace.into();
}

/// How long a pod may take to end: what was asked for, else what the pod says; nothing if it runs nowhere or has ended.
fn grace(pod: &Value, options: &Value) -> Option<i64> {
    let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if text(&pod["spec"], "nodeName").is_empty() || ended {
        return Some(0);
    }
    let asked = options["gracePeriodSeconds"].as_i64();
    let own = pod["spec"]["terminationGracePeriodSeconds"].as_i64();
    let grace = asked.or(own).unwrap_or(DEFAULT_GRACE);
    Some(if grace < 0 { 1 } else { grace })
}

/// Whether an object that is being deleted has nothing left to wait for.
pub(crate) fn is_last_finalizer_gone(object: &Value) -> bool {
    let metadata = &object["metadata"];
    let finalizers = metadata["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty());
    let own =
        object["kind"] == "Namespace" && object["spec"]["finalizers"].as_array().is_some_and(|own| !own.is_empty());
    metadata["deletionTimestamp"].is_string()
        && !finalizers
        && !own
        && metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0
}

/// Deletes without a review: what follows an admitted eviction.
pub(crate) fn remove_quietly(
    core: &Shared,
    call: &Call,
    mut stored: Arc<Object>,
    options: Value,
) -> Result<(), Rejection> {
    for _ in 0..ATTEMPTS {
        check_preconditions(call, &stored, &options)?;
        let plan = Plan::new(core, call, &stored.whole(), &options);
        if is_dry_run(&options) {
            return Ok(());
        }
        let mut moved = false;
        if let Some(marked) = plan.marked {
            match core.store.update(&call.resource.table, stored.revision(), marked) {
                Ok(written) => stored = written,
                Err(_) => moved = true,
            }
        }
        if !moved && !plan.now {
            return Ok(());
        }
        if !moved {
            match core.store.delete(&call.resource.table, &call.namespace, &call.name, stored.revision()) {
                Ok(gone) => {
                    hooks::after_delete(core, call, &gone);
                    return Ok(());
                }
                Err(WriteError::NotFound) => return Ok(()),
                Err(_) => {}
            }
        }
        stored = core.store.get(&call.resource.table, &call.namespace, &call.name).ok_or_else(|| call.not_found())?;
    }
    Err(refusal::conflict(&call.resource.gvk.group, &call.resource.plural, &call.name, refusal::MODIFIED))
}
