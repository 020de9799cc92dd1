//! One injection, from the pod as sent to the pod as it shall be.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;

use apimachinery::quantity::Quantity;
use apimachinery::value::{Map, Text, Value, json};

use super::{Modern, path};
use crate::data::{self, Ids, PROXY_CONFIG, TemplateData, image, owner};
use crate::engine::{Error, Printed};
use crate::funcs::{Budget, Context};
use crate::overlay;
use crate::pod::{self, INIT, PROXY, VALIDATION};
use crate::postprocess::{self, order};
use crate::status::{self, OVERRIDES, Overrides, Status};
use crate::validate;

/// What one injection starts from.
pub(super) struct Pass<'a> {
    pub(super) object: &'a Value,
    /// The pod's namespace.
    pub(super) namespace: &'a str,
    pub(super) identity: Identity<'a>,
    pub(super) revision: &'a str,
    /// Variables from the URL.
    pub(super) variables: Vec<(String, String)>,
    /// Where to put what the templates print, if anybody wants to see it.
    pub(super) printed: Option<&'a RefCell<Vec<Printed>>>,
}

/// Where a pod's workload is known from.
pub(super) enum Identity<'a> {
    /// The pod's own references.
    Pod,
    /// The object around the pod template in a file.
    Owner { kind: Cow<'a, str>, api_version: Cow<'a, str>, name: Cow<'a, str>, namespace: Cow<'a, str> },
}

/// What templates see of a pod.
struct Seen<'a> {
    /// The pod without an earlier injection.
    view: &'a Value,
    /// Its metadata, with the namespace that it will have.
    metadata: &'a Value,
    proxy_config: &'a Value,
    /// Whether the cluster runs native sidecars.
    native: bool,
}

impl Modern {
    /// Injects a pod whose decision is yes; returns the whole pod.
    pub(super) fn inject(&self, pass: Pass<'_>, warnings: &mut Vec<String>) -> Result<Value, Error> {
        let annotations = pod::strings(pass.object, "annotations");
        let policy = pass.object.pointer("/spec/dnsPolicy").and_then(Value::as_str);
        if let Some(policy) = policy.filter(|p| !p.is_empty() && *p != "ClusterFirst") {
            warnings.push(format!(
                "dnsPolicy is {policy:?}: names of services may not resolve in the proxy, which needs ClusterFirst"
            ));
        }
        validate::annotations(annotations)
            .map_err(|e| Error::Annotations(format!("failed to run injection template: {e}")))?;
        let templates = self.templates_of(annotations)?;
        let status = Status::of(pass.object);
        let overrides = Overrides::of(pass.object)
            .map_err(|e| Error::Annotations(format!("failed to run injection template: {e}")))?;
        let mut target = pass.object.clone();
        if self.environment.openshift {
            drop_default_ids(&mut target);
        }
        let target_before = self.environment.openshift.then(|| target.clone());
        let original = target_before.as_ref().unwrap_or(pass.object);

        let agent_port = postprocess::status_port(&self.mesh).to_string();
        let view = status::before_injection(original, status.as_ref(), &overrides, &agent_port);
        let metadata = metadata_in(&view, pass.namespace);
        let labels = pod::strings(&view, "labels");
        let variables = self.variables(&pass, labels);
        let network = variables.iter().find(|(k, _)| k == path::NETWORK).map(|(_, v)| v.clone());
        let proxy_config = data::proxy_config(
            &self.mesh,
            &self.proxy_configs,
            pass.namespace,
            labels,
            pod::text(annotations, PROXY_CONFIG),
        )
        .map_err(|e| Error::Annotations(format!("{PROXY_CONFIG}: {e}")))?;
        let node = pass.object.pointer("/spec/nodeName").and_then(Value::as_str).filter(|n| !n.is_empty());
        let native = self.cluster.native(self.environment.native_sidecars, node);

        let (template_pod, merged) = self.render(
            &pass,
            &Seen { view: &view, metadata: &metadata, proxy_config: &proxy_config, native },
            &templates,
            target,
            warnings,
        )?;
        let mut target = merged;
        let users = reapply(&mut target, &template_pod, original, status.as_ref(), &overrides)?;
        adjust_ids(&mut target, &template_pod, &users, tproxy(annotations, &proxy_config));
        let again = annotations.contains_key(status::STATUS);
        if !again
            && overrides.is_empty()
            && !users.is_empty()
            && let Some(annotations) = pod::strings_mut(&mut target, "annotations")
        {
            let text = serde_json::to_string(&users).unwrap_or_default();
            annotations.insert(OVERRIDES.to_owned(), text.into());
        }
        let settings = postprocess::Settings {
            mesh: &self.mesh,
            values: &self.values,
            proxy_config: &proxy_config,
            environment: &variables,
            network: network.as_deref(),
            revision: if pass.revision.is_empty() { "default" } else { pass.revision },
            injected_annotations: &self.injected_annotations,
            again,
        };
        postprocess::run(&mut target, &template_pod, &settings, warnings)?;
        if status.is_some() {
            order::keep(&mut target, original);
        }
        Ok(target)
    }

    /// The URL's variables with the cluster and the network from where they are known.
    fn variables(&self, pass: &Pass<'_>, labels: &Map) -> Vec<(String, String)> {
        let mut all: BTreeMap<String, String> = pass.variables.iter().cloned().collect();
        let value = |pointer: &str| self.values.pointer(pointer).and_then(Value::as_str).filter(|s| !s.is_empty());
        // A label that is there hides the values, even when it is empty.
        let label = pod::text(labels, "topology.istio.io/network");
        let defaults = [
            (path::CLUSTER, value("/global/multiCluster/clusterName")),
            (path::NETWORK, value("/global/network").filter(|_| label.is_none())),
        ];
        for (name, value) in defaults {
            if let Some(value) = value
                && all.get(name).is_none_or(String::is_empty)
            {
                all.insert(name.to_owned(), value.to_owned());
            }
        }
        if let Some(network) = label.filter(|n| !n.is_empty()) {
            all.insert(path::NETWORK.to_owned(), network.to_owned());
        }
        all.into_iter().collect()
    }

    /// Renders the templates and lays each over an empty pod and over the target.
    fn render(
        &self,
        pass: &Pass<'_>,
        seen: &Seen<'_>,
        templates: &[&crate::template::Template],
        target: Value,
        warnings: &mut Vec<String>,
    ) -> Result<(Value, Value), Error> {
        let Seen { view, metadata, proxy_config, native } = *seen;
        let annotations = pod::strings(view, "annotations");
        let empty = Value::Object(Map::new());
        let spec = view.get("spec").unwrap_or(&empty);
        let (owner, deployment_namespace) = match &pass.identity {
            Identity::Pod => (owner::identify(metadata, pod::strings(view, "labels")), pass.namespace),
            Identity::Owner { kind, api_version, name, namespace } => (
                owner::Identity { kind: kind.clone(), api_version: api_version.clone(), name: name.clone() },
                &**namespace,
            ),
        };
        let kind = pod::text(annotations, "sidecar.istio.io/proxyImageType");
        let configured = proxy_config.pointer("/image/imageType").and_then(Value::as_str).filter(|k| !k.is_empty());
        let variant = self.values.pointer("/global/variant").and_then(Value::as_str).unwrap_or_default();
        let name = |key: &str| self.values.pointer(&format!("/global/{key}/image")).and_then(Value::as_str);
        let data = TemplateData {
            owner,
            deployment_namespace,
            metadata,
            spec,
            proxy_config,
            mesh_config: &self.mesh,
            values: &self.values,
            revision: pass.revision,
            native_sidecars: native,
            proxy_image: image::url(&self.values, name("proxy"), kind.or(configured).unwrap_or(variant)),
            proxy_init_image: image::url(&self.values, name("proxy_init"), kind.unwrap_or(variant)),
            ids: if self.environment.openshift { self.cluster.openshift_ids(pass.namespace) } else { Ids::default() },
            compliance_policy: &self.environment.compliance_policy,
        };
        let root = data.root();
        let budget = Budget::default();
        let context = Context { environment: &self.environment.variables, render: None, budget: &budget };
        let native = match pod::text(annotations, "sidecar.istio.io/nativeSidecar") {
            Some("true") => true,
            Some("false") => false,
            _ => native,
        };
        let mut template_pod = Value::Object(Map::new());
        let mut target = target;
        for template in templates {
            let text = template.render(&root, &context).map_err(Error::RenderNamed)?;
            if let Some(printed) = pass.printed {
                printed.borrow_mut().push(Printed { template: template.name().to_owned(), text: text.clone() });
            }
            let mut layer = overlay::parse(template.name(), &text)?;
            template_pod = overlay::apply(template.name(), template_pod, overlay::outline(&layer, &text))?;
            let template_has = |key: &str| pod::list(&template_pod, key).iter().any(|c| pod::name(c) == PROXY);
            if template_has("initContainers") && (native || !template_has("containers")) {
                make_native(&mut target);
            }
            forget_nulls(&target, &mut layer);
            keep_sources(&target, &mut layer, warnings);
            target = overlay::apply(template.name(), target, layer)?;
        }
        Ok((template_pod, target))
    }
}

/// A pod's metadata with its namespace, which a pod that is being created need not say; a copy only then.
fn metadata_in<'p>(pod: &'p Value, namespace: &str) -> Cow<'p, Value> {
    let metadata = pod.get("metadata").and_then(Value::as_object);
    let own = metadata.and_then(|m| m.get("namespace")).and_then(Value::as_str).unwrap_or_default();
    if let Some(metadata) = pod.get("metadata").filter(|_| !own.is_empty() || namespace.is_empty()) {
        return Cow::Borrowed(metadata);
    }
    // Templates are not shown the managed fields, which are often the larger part.
    let shown = metadata.into_iter().flatten().filter(|(key, _)| *key != "managedFields");
    let mut copy: Map = shown.map(|(key, value)| (key.clone(), value.clone())).collect();
    if !namespace.is_empty() {
        copy.insert("namespace".to_owned(), namespace.into());
    }
    Cow::Owned(Value::Object(copy))
}

/// A null in a template (`emptyDir:` without a value) deletes what a pod has there. In a container that the pod does not
/// have, and in a volume, it means nothing: left in, it would delete on the second pass what the apiserver made of it.
fn forget_nulls(target: &Value, layer: &mut Value) {
    for key in ["volumes", "containers", "initContainers"] {
        let there: std::collections::HashSet<&str> = pod::list(target, key).iter().map(pod::name).collect();
        for item in pod::list_mut(layer, key).into_iter().flatten() {
            if key == "volumes" || !there.contains(pod::name(item)) {
                drop_nulls(item);
            }
        }
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// A volume of the pod that has an injected name keeps its source: with two sources an apiserver would refuse the pod.
fn keep_sources(target: &Value, layer: &mut Value, warnings: &mut Vec<String>) {
    let source = |key: &Text| key != "name";
    for volume in pod::list_mut(layer, "volumes").into_iter().flatten() {
        let name = pod::name(volume).to_owned();
        let Some(own) = pod::list(target, "volumes").iter().find(|v| pod::name(v) == name) else { continue };
        let (Some(own), Some(injected)) = (own.as_object(), volume.as_object_mut()) else { continue };
        if injected.keys().any(|k| k.starts_with('$')) || !own.iter().any(|(k, v)| source(k) && !v.is_null()) {
            continue;
        }
        let other = |key: &Text| source(key) && own.get(key).is_none_or(Value::is_null);
        if injected.keys().any(other) {
            warnings.push(format!("volume {name:?} of the pod keeps its own source; the injected one is left out"));
            injected.retain(|key, _| !other(key));
        }
    }
}

/// Moves the pod's proxy to the init containers.
///
/// Istio does so only where its own flag or the pod's annotation says native; where only the template does, it leaves a
/// proxy in both lists, which an apiserver refuses.
fn make_native(target: &mut Value) {
    let taken = pod::list_mut(target, "containers").and_then(|list| {
        let at = list.iter().position(|c| pod::name(c) == PROXY)?;
        Some(list.remove(at))
    });
    if let (Some(container), Some(spec)) = (taken, pod::object_mut(target, "spec")) {
        match spec.get_mut("initContainers").and_then(Value::as_array_mut) {
            Some(list) => list.push(container),
            None => drop(spec.insert("initContainers".to_owned(), Value::from(vec![container]))),
        }
    }
}

/// Whatever the user wrote in a container that the template also names wins over the template.
///
/// Returns the user's versions. They are also taken from the annotation that an earlier injection left, so that a second
/// one comes to the same pod.
fn reapply(
    target: &mut Value,
    template_pod: &Value,
    original: &Value,
    status: Option<&Status>,
    overrides: &Overrides,
) -> Result<Overrides, Error> {
    let mut users = Overrides::default();
    for key in ["containers", "initContainers"] {
        for container in pod::list(template_pod, key) {
            let name = pod::name(container);
            let known = status.is_some_and(|s| s.names(key, name));
            let in_pod = |k: &str| pod::list(original, k).iter().find(|c| pod::name(c) == name);
            let of_pod =
                || if key == "containers" { in_pod(key) } else { in_pod(key).or_else(|| in_pod("containers")) };
            let found = overrides.get(name).or_else(|| if known { None } else { of_pod() });
            let Some(user) = found else { continue };
            let mut user = user.clone();
            if let Some(object) = user.as_object_mut() {
                object.retain(|key, value| !(value.is_null() || key == "image" && value == "auto"));
                let resources = object.entry("resources").or_insert_with(|| Value::Object(Map::new()));
                canonical_quantities(resources);
            }
            let merged = pod::list_mut(target, key).and_then(|l| l.iter_mut().find(|c| pod::name(c) == name));
            if let Some(merged) = merged {
                drop_other_handlers(merged, &user);
                overlay::apply_container(merged, user.clone())?;
            }
            if key == "containers" { users.containers.push(user) } else { users.init_containers.push(user) }
        }
    }
    Ok(users)
}

/// The user's handler of a probe replaces one of another kind: an apiserver takes only one. So does one that an earlier
/// injection has rewritten to HTTP.
fn drop_other_handlers(injected: &mut Value, user: &Value) {
    let hooks = ["preStop", "postStart"].map(|h| format!("/lifecycle/{h}"));
    let probes = ["/livenessProbe", "/readinessProbe", "/startupProbe"].map(str::to_owned);
    for place in probes.iter().chain(&hooks) {
        let (Some(Value::Object(own)), Some(Value::Object(found))) = (user.pointer(place), injected.pointer_mut(place))
        else {
            continue;
        };
        let handlers = ["exec", "grpc", "httpGet", "sleep", "tcpSocket"];
        if handlers.iter().any(|h| own.contains_key(h)) {
            found.retain(|key, _| !handlers.contains(&key.as_str()) || own.contains_key(key));
        }
    }
}

/// Resources as an apiserver prints them; a file may have them in any form.
fn canonical_quantities(resources: &mut Value) {
    for kind in ["limits", "requests"] {
        for (_, value) in resources.get_mut(kind).and_then(Value::as_object_mut).into_iter().flatten() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if let Some(quantity) = Quantity::parse(&text) {
                *value = quantity.to_string().into();
            }
        }
    }
}

/// The user's ids for the proxy are also those that the redirection has to leave alone.
fn adjust_ids(target: &mut Value, template_pod: &Value, users: &Overrides, tproxy: bool) {
    let Some(context) = users.get(PROXY).and_then(|c| c.get("securityContext")) else { return };
    let id = |key: &str| context.get(key).filter(|v| v.is_number()).cloned();
    let (user, group) = (id("runAsUser"), id("runAsGroup"));
    if user.is_none() && group.is_none() {
        return;
    }
    if tproxy
        && user.is_some()
        && let Some(proxy) = pod::proxy_mut(target)
        && let Some(context) = pod::object_mut(proxy, "securityContext")
    {
        context.insert("runAsUser".to_owned(), json!(0));
    }
    let has = |name: &str| pod::list(template_pod, "initContainers").iter().any(|c| pod::name(c) == name);
    let cni = has(VALIDATION);
    for container in pod::list_mut(target, "initContainers").into_iter().flatten() {
        let name = pod::name(container);
        if name != INIT && name != VALIDATION {
            continue;
        }
        if cni
            && !tproxy
            && name == VALIDATION
            && let Some(context) = pod::object_mut(container, "securityContext")
        {
            context.extend(user.clone().map(|u| ("runAsUser".to_owned(), u)));
            context.extend(group.clone().map(|g| ("runAsGroup".to_owned(), g)));
        }
        if let Some(user) = user.as_ref().and_then(Value::as_i64).filter(|u| *u != 0) {
            let args = container.get_mut("args").and_then(Value::as_array_mut).into_iter().flatten();
            let mut after_flag = false;
            for arg in args {
                if after_flag {
                    *arg = user.to_string().into();
                    break;
                }
                after_flag = arg.as_str() == Some("-u");
            }
        }
    }
}

/// The annotation cannot take back what the ProxyConfig says.
fn tproxy(annotations: &Map, proxy_config: &Value) -> bool {
    let configured = proxy_config.get("interceptionMode").and_then(Value::as_str);
    [pod::text(annotations, "sidecar.istio.io/interceptionMode"), configured].contains(&Some("TPROXY"))
}

/// OpenShift gives every container without an id the same one, which must not become the proxy's.
///
/// If the user's proxy has the id of the last application container that has one, its ids are dropped; none is 0.
fn drop_default_ids(target: &mut Value) {
    let user_of = |c: &Value| c.pointer("/securityContext/runAsUser").and_then(Value::as_i64);
    let (mut proxy, mut application) = (0, 0);
    for container in pod::list(target, "containers") {
        let user = match pod::name(container) {
            PROXY => &mut proxy,
            INIT | VALIDATION => continue,
            _ => &mut application,
        };
        *user = user_of(container).unwrap_or(*user);
    }
    if proxy != application {
        return;
    }
    let context = pod::proxy_mut(target).and_then(|p| p.get_mut("securityContext")).and_then(Value::as_object_mut);
    if let Some(context) = context {
        context.remove("runAsUser");
        context.remove("runAsGroup");
    }
}
