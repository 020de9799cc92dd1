//! The way of one write through admission, and its trace.

use std::collections::HashSet;
use std::sync::Arc;

use apimachinery::value::Value;

use super::call::{Call, Reply};
use crate::admission::{Attributes, GroupVersionKind, GroupVersionResource, Operation, Rejection};
use crate::audit::Record;
use crate::core::Shared;
use crate::trace::Request;

/// One request as admission sees it.
pub(crate) struct Admission {
    pub(crate) attributes: Attributes,
    audit: Option<Arc<Record>>,
}

impl Admission {
    /// The attributes of a call; the objects are still to be put in.
    pub(crate) fn new(_core: &Shared, call: &Call, operation: Operation, options: Option<Value>) -> Admission {
        let gvk = call.subresource.as_ref().map_or(&call.resource.gvk, |subresource| &subresource.gvk);
        let kind = GroupVersionKind::new(&gvk.group, &gvk.version, &gvk.kind);
        let of = &call.resource.gvk;
        let resource = GroupVersionResource::new(&of.group, &of.version, &call.resource.plural);
        let mut attributes = Attributes::new(operation, kind, resource);
        attributes.subresource =
            call.subresource.as_ref().map(|subresource| subresource.name.to_string()).unwrap_or_default();
        attributes.namespaced = call.resource.namespaced;
        attributes.name = call.name.clone();
        attributes.namespace = call.namespace.clone();
        attributes.options = options;
        attributes.dry_run = call.dry_run();
        attributes.user = call.user.clone();
        attributes.deadline = Some(call.deadline);
        attributes.unseen = call.unseen;
        attributes.audit_patches = call.audit.as_ref().is_some_and(|record| record.wants_request());
        Admission { attributes, audit: call.audit.clone() }
    }

    /// Mutating plugins, policies and webhooks.
    pub(crate) async fn mutate(&mut self, core: &Shared) -> Result<(), Rejection> {
        self.name_namespace();
        core.chain.mutate(core.as_ref(), &mut self.attributes).await
    }

    /// Validating plugins, policies and webhooks.
    pub(crate) async fn validate(&mut self, core: &Shared) -> Result<(), Rejection> {
        self.name_namespace();
        core.chain.validate(core.as_ref(), &mut self.attributes).await
    }

    /// A Namespace is its own namespace (NOTES 10).
    fn name_namespace(&mut self) {
        if self.attributes.resource.group.is_empty() && self.attributes.resource.resource == "namespaces" {
            self.attributes.namespace = self.attributes.name.clone();
        }
    }

    /// Keeps the trace, hands the warnings to the call.
    pub(crate) fn finish(&mut self, core: &Shared, call: &mut Call, outcome: &Result<Reply, Rejection>) {
        merge(&mut call.warnings, std::mem::take(&mut self.attributes.warnings));
        self.record(core, outcome.as_ref().err());
    }

    /// Keeps the trace.
    pub(crate) fn record(&mut self, core: &Shared, refusal: Option<&Rejection>) {
        let attributes = &mut self.attributes;
        if let Some(record) = &self.audit {
            record.annotate_all(&attributes.audit);
            record.webhooks_took(&attributes.trace);
        }
        let mut resource = attributes.resource.group_resource();
        if !attributes.subresource.is_empty() {
            resource = format!("{resource}/{}", attributes.subresource);
        }
        core.traces.push(Request {
            time: core.clock.now().rfc3339_micro(),
            user: attributes.user.username.clone(),
            operation: attributes.operation.to_string(),
            resource,
            object: crate::store::key(&attributes.namespace, &attributes.name),
            outcome: refusal.map_or_else(|| "allowed".to_owned(), |refusal| refusal.message().to_owned()),
            admission: std::mem::take(&mut attributes.trace),
            audit: std::mem::take(&mut attributes.audit),
        });
    }
}

/// Adds texts that are not there yet.
pub(crate) fn merge(warnings: &mut Vec<String>, more: Vec<String>) {
    if warnings.len().saturating_mul(more.len()) > 1000 || more.len() > 32 {
        let mut seen: HashSet<String> = warnings.iter().cloned().collect();
        warnings.extend(more.into_iter().filter(|text| seen.insert(text.clone())));
        return;
    }
    for text in more {
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::merge;

    #[test]
    fn each_text_once_and_in_order_of_short_lists_and_of_long() {
        for length in [3, 2000] {
            let texts: Vec<String> = (0..length).map(|n| n.to_string()).collect();
            let mut warnings = vec!["a".to_owned(), "1".to_owned()];
            merge(&mut warnings, texts.iter().chain(&texts).cloned().collect());
            let others = texts.iter().map(String::as_str).filter(|text| *text != "1");
            assert!(warnings.iter().map(String::as_str).eq(["a", "1"].into_iter().chain(others)), "{length}");
        }
    }
}
