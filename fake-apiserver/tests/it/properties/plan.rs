//! What is generated: webhook configurations and a sequence of requests.

use apimachinery::value::{Value, json};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::support::{Answer, ca_bundle, patch};

/// Names whose order as bytes is not the one that people expect.
const NAMES: [&str; 6] = ["10", "2", "a", "a-b", "a.b", "b"];

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Behaviour {
    Allow,
    /// Sets the label `seen-by` to the webhook's path.
    Sign,
    /// Sets a label to what it is, or to something new.
    Label(u8),
    EmptyPatch,
    Deny,
    Fail,
    Close,
    BadPatch,
}

#[derive(Clone, Debug)]
pub(crate) struct Hook {
    pub(crate) behaviour: Behaviour,
    pub(crate) ignore: bool,
    pub(crate) reinvoke: bool,
    pub(crate) selector: Option<&'static str>,
    pub(crate) operations: Vec<&'static str>,
}

#[derive(Clone, Debug)]
pub(crate) struct Configuration {
    pub(crate) name: &'static str,
    pub(crate) mutating: bool,
    pub(crate) hooks: Vec<Hook>,
}

#[derive(Clone, Debug)]
pub(crate) enum Verb {
    Create { generate: bool },
    Update,
    Merge,
    Delete,
}

#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) verb: Verb,
    pub(crate) object: u8,
    pub(crate) app: &'static str,
    pub(crate) dry_run: bool,
}

/// A case: everything in it shrinks.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) configurations: Vec<Configuration>,
    pub(crate) steps: Vec<Step>,
    /// `pods` or `configmaps`.
    pub(crate) resource: &'static str,
}

fn hook() -> impl Strategy<Value = Hook> {
    let behaviour = prop_oneof![
        3 => Just(Behaviour::Allow),
        3 => Just(Behaviour::Sign),
        3 => (0..3u8).prop_map(Behaviour::Label),
        1 => Just(Behaviour::EmptyPatch),
        1 => Just(Behaviour::Deny),
        1 => Just(Behaviour::Fail),
        1 => Just(Behaviour::Close),
        1 => Just(Behaviour::BadPatch),
    ];
    let operations = prop_oneof![Just(vec!["*"]), subsequence(vec!["CREATE", "UPDATE", "DELETE"], 1..=3)];
    (behaviour, any::<bool>(), any::<bool>(), option::of(select(vec!["web", "db"])), operations).prop_map(
        |(behaviour, ignore, reinvoke, selector, operations)| Hook {
            behaviour,
            ignore,
            reinvoke,
            selector,
            operations,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let verb = prop_oneof![
        3 => Just(Verb::Create { generate: false }),
        1 => Just(Verb::Create { generate: true }),
        2 => Just(Verb::Update),
        2 => Just(Verb::Merge),
        2 => Just(Verb::Delete),
    ];
    (verb, 0..3u8, select(vec!["web", "db"]), proptest::bool::weighted(0.2))
        .prop_map(|(verb, object, app, dry_run)| Step { verb, object, app, dry_run })
}

/// Any plan. Of the validating webhooks only one says no or fails: which of several is heard first is a race.
pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let names = subsequence(NAMES.to_vec(), 0..=4).prop_shuffle();
    let configurations = names.prop_flat_map(|names| {
        let one = |name| {
            (any::<bool>(), vec(hook(), 1..=3)).prop_map(move |(mutating, hooks)| Configuration {
                name,
                mutating,
                hooks,
            })
        };
        names.into_iter().map(one).collect::<Vec<_>>()
    });
    (configurations, vec(step(), 1..=8), select(vec!["pods", "configmaps"])).prop_map(
        |(mut configurations, steps, resource)| {
            let mut refused = false;
            for configuration in configurations.iter_mut().filter(|configuration| !configuration.mutating) {
                for hook in &mut configuration.hooks {
                    let calm =
                        refused || !matches!(hook.behaviour, Behaviour::Deny | Behaviour::Fail | Behaviour::Close);
                    refused |= !calm;
                    if calm {
                        hook.behaviour = Behaviour::Allow;
                    }
                }
            }
            Plan { configurations, steps, resource }
        },
    )
}

/// The path of a webhook says where it stands: `/mutating/a-b/1`.
pub(crate) fn path(configuration: &Configuration, index: usize) -> String {
    let kind = if configuration.mutating { "mutating" } else { "validating" };
    format!("/{kind}/{}/{index}", configuration.name)
}

impl Plan {
    /// The webhook at a path.
    pub(crate) fn hook(&self, at: &str) -> Option<&Hook> {
        let all = self.configurations.iter().flat_map(|configuration| {
            configuration.hooks.iter().enumerate().map(move |(index, hook)| (path(configuration, index), hook))
        });
        all.into_iter().find(|(path, _)| path == at).map(|(_, hook)| hook)
    }

    /// What it answers.
    pub(crate) fn answer(&self, at: &str) -> Answer {
        let label = |key: &str, value: Value| {
            patch(&json!([{"op": "add", "path": format!("/metadata/labels/{key}"), "value": value}]))
        };
        match self.hook(at).map(|hook| &hook.behaviour) {
            None | Some(Behaviour::Allow) => Answer::Response(json!({"allowed": true})),
            Some(Behaviour::Sign) => label("seen-by", at.trim_start_matches('/').replace('/', "-").into()),
            Some(Behaviour::Label(n)) => label("label", format!("v{n}").into()),
            Some(Behaviour::EmptyPatch) => patch(&json!([])),
            Some(Behaviour::Deny) => Answer::Response(json!({"allowed": false, "status": {"message": "no"}})),
            Some(Behaviour::Fail) => Answer::Status(500),
            Some(Behaviour::Close) => Answer::Close,
            Some(Behaviour::BadPatch) => patch(&json!([{"op": "remove", "path": "/metadata/labels/none"}])),
        }
    }

    /// The configurations as objects, with webhooks at a port of 127.0.0.1.
    pub(crate) fn objects(&self, port: u16) -> Vec<Value> {
        self.configurations.iter().map(|configuration| configuration.object(self.resource, port)).collect()
    }
}

impl Configuration {
    fn object(&self, resource: &str, port: u16) -> Value {
        let hooks: Vec<Value> = self
            .hooks
            .iter()
            .enumerate()
            .map(|(index, hook)| {
                let url = format!("https://127.0.0.1:{port}{}", path(self, index));
                let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": hook.operations, "resources": [resource]});
                let mut object = json!({
                    "name": format!("h{index}.example.com"), "sideEffects": "None", "admissionReviewVersions": ["v1"],
                    "clientConfig": {"url": url, "caBundle": ca_bundle()}, "rules": [rule],
                    "failurePolicy": if hook.ignore { "Ignore" } else { "Fail" },
                });
                if hook.reinvoke && self.mutating {
                    object["reinvocationPolicy"] = "IfNeeded".into();
                }
                if let Some(app) = hook.selector {
                    object["objectSelector"] = json!({"matchLabels": {"app": app}});
                }
                object
            })
            .collect();
        let kind = if self.mutating { "MutatingWebhookConfiguration" } else { "ValidatingWebhookConfiguration" };
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": self.name}, "webhooks": hooks})
    }
}

impl Step {
    /// Method, path and body of the request.
    pub(crate) fn request(&self, resource: &str) -> (&'static str, String, Value) {
        let collection = format!("/api/v1/namespaces/shop/{resource}");
        let name = format!("o{}", self.object);
        let mut object = match resource {
            "pods" => json!({"kind": "Pod", "spec": {"containers": [{"name": "app", "image": "x"}]}}),
            _ => json!({"kind": "ConfigMap", "data": {"app": self.app}}),
        };
        object["apiVersion"] = "v1".into();
        object["metadata"] = json!({"name": name, "labels": {"app": self.app, "object": self.object.to_string()}});
        let query = if self.dry_run { "?dryRun=All" } else { "" };
        let one = format!("{collection}/{name}{query}");
        match self.verb {
            Verb::Create { generate } => {
                if generate {
                    object["metadata"] = json!({"generateName": "g-", "labels": {"app": self.app}});
                }
                ("POST", format!("{collection}{query}"), object)
            }
            // Of a pod little may change: the labels.
            Verb::Update if resource == "configmaps" => ("PUT", one, object),
            Verb::Update | Verb::Merge => ("PATCH", one, json!({"metadata": {"labels": {"app": self.app}}})),
            Verb::Delete => ("DELETE", one, Value::Null),
        }
    }
}
