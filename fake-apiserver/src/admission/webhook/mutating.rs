//! The mutating phase: webhooks one after the other, each on the object that the one before left behind.

use std::collections::BTreeSet;

use apimachinery::json_patch::Patch;
use apimachinery::value::Value;
use tokio::time::Instant;

use super::super::attributes::{Attributes, GroupVersionKind};
use super::super::client::Client;
use super::super::cluster::{Cluster, DecodeError};
use super::super::golang;
use super::super::memory::{Change, Changed, Memory, passes_by_managed_fields};
use super::super::rejection::Rejection;
use super::super::trace::{Entry, Outcome, Phase};
use super::call::{Call, Failure, denial};
use super::configuration::Webhook;
use super::rules::{Invocation, exempt};
use super::{Match, in_kind, observe, should_call};

const JSON_PATCH: &str = "JSONPatch";
const SCHEME: &str = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30";

/// What is remembered from the first round for the second.
#[derive(Debug, Default)]
pub(crate) struct Reinvocation {
    /// Whether this is the second round.
    pub(crate) again: bool,
    /// Whether a second round is due.
    pub(crate) due: bool,
    /// IfNeeded webhooks that were called since something changed.
    called: BTreeSet<String>,
    /// Those that have to be called again.
    to_call: BTreeSet<String>,
    /// The object as the last webhook left it; kept only where the second round looks at it.
    last: Option<Value>,
    /// Whether a patch has been applied in this request.
    patched: bool,
}

impl Reinvocation {
    /// Something changed: all that were called before may be called again.
    fn changed(&mut self) {
        self.to_call.append(&mut self.called);
    }
}

/// Runs one round over all mutating webhooks.
///
/// # Errors
/// The first denial or unforgiven failure.
pub(crate) async fn dispatch(
    hooks: &[std::sync::Arc<Webhook>],
    client: &Client,
    memory: Option<&Memory>,
    cluster: &dyn Cluster,
    attributes: &mut Attributes,
    reinvocation: &mut Reinvocation,
) -> Result<(), Rejection> {
    if hooks.is_empty() || exempt(&attributes.kind) {
        return Ok(());
    }
    if reinvocation.again && !reinvocation.called.is_empty() && reinvocation.last != attributes.object {
        // Built-in plugins changed the object in between.
        reinvocation.changed();
    }
    let mut round = Round { client, memory, cluster, attributes, reinvocation, held: None };
    for (index, hook) in hooks.iter().enumerate() {
        round.hook(index, hook).await?;
    }
    round.finish()
}

struct Round<'a> {
    client: &'a Client,
    memory: Option<&'a Memory>,
    cluster: &'a dyn Cluster,
    attributes: &'a mut Attributes,
    reinvocation: &'a mut Reinvocation,
    /// The kind that `attributes.object` is in at the moment, when it is not the request's.
    held: Option<GroupVersionKind>,
}

impl Round<'_> {
    fn held(&self) -> &GroupVersionKind {
        self.held.as_ref().unwrap_or(&self.attributes.kind)
    }

    async fn hook(&mut self, index: usize, hook: &Webhook) -> Result<(), Rejection> {
        let invocation = match should_call(hook, self.attributes, self.held(), self.cluster, true)? {
            Match::No(why) => {
                self.trace(hook, "", Outcome::Skipped(why), Instant::now());
                return Ok(());
            }
            Match::Yes(invocation) => invocation,
        };
        if self.reinvocation.again && !self.reinvocation.to_call.contains(&hook.id) {
            let why = "nothing changed since its call, or reinvocationPolicy Never, or not called in round 0";
            self.trace(hook, "", Outcome::Skipped(why.to_owned()), Instant::now());
            return Ok(());
        }
        self.hold(&invocation.kind)?;
        let uid = self.cluster.uid();
        let started = Instant::now();
        let result = self.call(index, hook, &invocation, &uid).await;
        observe(self.cluster, self.attributes, hook, true, result.as_ref().err(), started.elapsed());
        let changed = matches!(result, Ok(Some(_)));
        self.annotate(index, hook, changed);
        if changed {
            self.reinvocation.changed();
            self.reinvocation.due = true;
        }
        if hook.reinvoke {
            self.reinvocation.called.insert(hook.id.clone());
        }
        match result {
            Ok(patch) => {
                self.trace(hook, &uid, patch.map_or(Outcome::Allowed, |patch| Outcome::Patched(patch.into())), started);
                Ok(())
            }
            Err(Failure::Denied(rejection)) => {
                self.trace(hook, &uid, Outcome::Denied(rejection.message().to_owned()), started);
                Err(rejection)
            }
            Err(Failure::Rejected(rejection)) => {
                self.trace(hook, &uid, Outcome::Failed(rejection.message().to_owned()), started);
                Err(rejection)
            }
            Err(Failure::Calling { error, .. }) => {
                let error = Failure::text(&hook.name, &error);
                if hook.ignore_failures {
                    let key =
                        format!("failed-open.mutation.webhook.admission.k8s.io/round_{}_index_{index}", self.round());
                    self.attributes.audit.insert(key, hook.name.clone());
                    self.trace(hook, &uid, Outcome::FailedOpen(error), started);
                    return Ok(());
                }
                self.trace(hook, &uid, Outcome::Failed(error.clone()), started);
                Err(Rejection::internal(&error))
            }
        }
    }

    fn round(&self) -> u8 {
        u8::from(self.reinvocation.again)
    }

    /// Brings the object into the kind that the next webhook wants.
    fn hold(&mut self, kind: &GroupVersionKind) -> Result<(), Rejection> {
        if self.held() == kind {
            return Ok(());
        }
        if let Some(object) = &self.attributes.object {
            let converted = self.cluster.convert(object, kind).map_err(|error| Rejection::internal(&error))?;
            self.attributes.object = Some(converted);
        }
        self.held = Some(kind.clone());
        Ok(())
    }

    /// Calls the webhook and applies its patch; the patch when it changed the object.
    async fn call(
        &mut self,
        index: usize,
        hook: &Webhook,
        invocation: &Invocation,
        uid: &str,
    ) -> Result<Option<Value>, Failure> {
        let old = in_kind(self.attributes.old_object.as_deref(), &self.attributes.kind, &invocation.kind, self.cluster)
            .map_err(Failure::Rejected)?;
        let call = Call {
            client: self.client,
            cluster: self.cluster,
            memory: self.memory,
            attributes: self.attributes,
            object: self.attributes.object.as_ref(),
            old_object: old.as_deref(),
            mutating: true,
        };
        let verdict = call.send(hook, invocation, uid).await?;
        drop(old);
        for (key, value) in &verdict.annotations {
            self.attributes.annotate(&format!("{}/{key}", hook.name), value);
        }
        for warning in &verdict.warnings {
            self.attributes.warn(warning);
        }
        if !verdict.allowed {
            return Err(Failure::Denied(denial(&hook.name, verdict.status)));
        }
        if verdict.patch.is_empty() {
            return Ok(None);
        }
        let body = verdict.patch;
        let before = self.attributes.object.as_ref().filter(|_| verdict.patch_type == JSON_PATCH);
        let question = self.memory.zip(before);
        let question = question.map(|(memory, object)| (memory, Change::new(object, &invocation.kind, body.clone())));
        if let (Some(before), Some((memory, question))) = (before, &question)
            && let Some(known) = memory.changed.get(question)
        {
            let known = known.managed_as(before);
            return Ok(self.take(index, hook, &body, known));
        }
        let patch = Patch::parse(&body)
            .map_err(|error| Failure::calling(format!("received undecodable patch in webhook response: {error}")))?;
        if patch.is_empty() {
            return Ok(None);
        }
        let Some(object) = &self.attributes.object else {
            let text = format!(
                "admission webhook {} attempted to modify the object, which is not supported for this operation",
                golang::quote(&hook.name)
            );
            return Err(Failure::Rejected(Rejection::internal(&text)));
        };
        if verdict.patch_type != JSON_PATCH {
            let error = format!("unsupported patch type {}", golang::quote(&verdict.patch_type));
            return Err(Failure::Calling { error, code: 400 });
        }
        let internal = |text: &str| Failure::Rejected(Rejection::internal(text));
        let patched = patch.apply(object.clone()).map_err(|error| internal(&error.to_string()))?;
        let (kind, mut patched) = decode(self.cluster, &invocation.kind, patched).map_err(|error| internal(&error))?;
        let differs = patched != *object;
        self.cluster.default(&kind, &mut patched);
        let changed = Changed { object: patched, differs, patch: patch.into_value() };
        if let Some((memory, question)) =
            question.filter(|(_, question)| question.kind == kind && passes_by_managed_fields(&changed.patch))
        {
            memory.changed.put(question, changed.clone(), body.len());
        }
        Ok(self.take(index, hook, &body, changed))
    }

    /// The object goes on as the patch left it; the patch if that is a change.
    fn take(&mut self, index: usize, hook: &Webhook, patch: &[u8], changed: Changed) -> Option<Value> {
        // The times of this request's managedFields are cut to seconds when a patched object is decoded for the first time,
        // which the real server takes for a change (vector `patch-semantics/value-null`, its audit annotation).
        let first = !self.reinvocation.patched;
        let before = self.attributes.object.as_ref();
        let cut = || before.is_some_and(|object| has_new_managed_fields(self.attributes, object));
        let differs = changed.differs || first && cut();
        self.reinvocation.patched = true;
        self.annotate_patch(index, hook, patch);
        self.attributes.object = Some(changed.object);
        differs.then_some(changed.patch)
    }

    /// Back into the kind of the request.
    fn finish(self) -> Result<(), Rejection> {
        if let Some(object) = &self.attributes.object {
            let held = self.held().clone();
            let kind = object["kind"].as_str().unwrap_or_default();
            let api_version = object["apiVersion"].as_str().unwrap_or_default();
            if !kind.is_empty() && (kind != held.kind || api_version != held.api_version()) {
                let version = api_version.rsplit('/').next().unwrap_or_default();
                let internal = match self.attributes.kind.group.split('.').next() {
                    None | Some("") => "core",
                    Some(group) => group,
                };
                let wanted = &self.attributes.kind.kind;
                let text = format!("converting ({version}.{kind}) to ({internal}.{wanted}): unknown conversion");
                return Err(Rejection::unknown(&text));
            }
            if held != self.attributes.kind {
                let back = self.cluster.convert(object, &self.attributes.kind);
                self.attributes.object = Some(back.map_err(|error| Rejection::unknown(&error))?);
            }
        }
        let reinvocation = self.reinvocation;
        if reinvocation.due && !reinvocation.again && !reinvocation.called.is_empty() {
            reinvocation.last = self.attributes.object.clone();
        }
        Ok(())
    }

    fn annotate(&mut self, index: usize, hook: &Webhook, mutated: bool) {
        let key = format!("mutation.webhook.admission.k8s.io/round_{}_index_{index}", self.round());
        let value = format!(
            "{{\"configuration\":{},\"webhook\":{},\"mutated\":{mutated}}}",
            Value::from(hook.configuration.as_str()),
            Value::from(hook.name.as_str())
        );
        self.attributes.audit.insert(key, value);
    }

    /// The patch as the level Request of the audit log has it.
    fn annotate_patch(&mut self, index: usize, hook: &Webhook, patch: &[u8]) {
        if !self.attributes.audit_patches {
            return;
        }
        let Some(patch) = golang::patch(patch) else { return };
        let key = format!("patch.webhook.admission.k8s.io/round_{}_index_{index}", self.round());
        let value = format!(
            "{{\"configuration\":{},\"webhook\":{},\"patch\":{patch},\"patchType\":\"JSONPatch\"}}",
            Value::from(hook.configuration.as_str()),
            Value::from(hook.name.as_str())
        );
        self.attributes.audit.entry(key).or_insert(value);
    }

    fn trace(&mut self, hook: &Webhook, uid: &str, outcome: Outcome, started: Instant) {
        let round = self.round();
        self.attributes.trace.push(Entry {
            phase: Phase::Mutating,
            round,
            configuration: hook.configuration.clone(),
            webhook: hook.name.clone(),
            uid: uid.to_owned(),
            outcome,
            took: started.elapsed(),
        });
    }
}

/// Whether the request itself has written any of the object's managedFields.
fn has_new_managed_fields(attributes: &Attributes, object: &Value) -> bool {
    let old = attributes.old_object.as_ref().and_then(|old| old["metadata"]["managedFields"].as_array());
    let entries = object["metadata"]["managedFields"].as_array();
    entries.is_some_and(|entries| entries.iter().any(|entry| !old.is_some_and(|old| old.contains(entry))))
}

/// Decodes a patched object as the kind that it says it is, or as the expected one where it says nothing.
pub(crate) fn decode(
    cluster: &dyn Cluster,
    expected: &GroupVersionKind,
    mut object: Value,
) -> Result<(GroupVersionKind, Value), String> {
    let Some(fields) = object.as_object_mut() else {
        return Err(format!(
            "json: cannot unmarshal {} into Go value of type {}.{}",
            golang::kind_of(&object),
            expected.version,
            expected.kind
        ));
    };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text(fields.get("apiVersion")), text(fields.get("kind")));
    let mut said = expected.clone();
    if !api_version.is_empty() {
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        said.group = group.to_owned();
        said.version = version.to_owned();
    }
    if !kind.is_empty() {
        said.kind = kind;
    }
    if said != *expected && !cluster.knows(&said) {
        return Err(format!(
            "no kind {} is registered for version {} in scheme {}",
            golang::quote(&said.kind),
            golang::quote(&said.api_version()),
            golang::quote(SCHEME)
        ));
    }
    fields.insert("apiVersion".to_owned(), said.api_version().into());
    fields.insert("kind".to_owned(), said.kind.as_str().into());
    let decoded = cluster.decode(&said, object).map_err(|DecodeError(error)| error)?;
    Ok((said, decoded))
}
