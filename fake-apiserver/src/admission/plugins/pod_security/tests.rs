use apimachinery::value::{Value, json};

use super::super::super::attributes::{Attributes, GroupVersionKind, GroupVersionResource, Operation};
use super::super::super::testing::Objects;
use super::policy::{Level, Policies, Standard};
use super::{checks, details, validate};

fn fine() -> Value {
    json!({"metadata": {"name": "p"}, "spec": {
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "a", "image": "i", "securityContext": {
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
        }}],
    }})
}

fn says(level: Level, minor: Option<u32>, pod: &Value) -> String {
    details(&checks::evaluate(&Standard { level, minor }, pod))
}

/// A pod that is fine but for one thing.
fn with(pointer: &str, value: Value) -> Value {
    let mut pod = fine();
    let mut at = &mut pod;
    for key in pointer.trim_start_matches('/').split('/') {
        at = match key.parse::<usize>() {
            Ok(index) => &mut at[index],
            Err(_) => &mut at[key],
        };
    }
    *at = value;
    pod
}

#[test]
fn every_baseline_check_in_its_words() {
    assert_eq!(says(Level::Restricted, None, &fine()), "");
    let container = "/spec/containers/0";
    let context = "/spec/containers/0/securityContext";
    let cases = [
        (
            with("/spec/securityContext/appArmorProfile", json!({"type": "Unconfined"})),
            r#"forbidden AppArmor profile (pod must not set AppArmor profile type to "Unconfined")"#,
        ),
        (
            with("/metadata/annotations", json!({"container.apparmor.security.beta.kubernetes.io/a": "unconfined"})),
            r#"forbidden AppArmor profile (annotation must not set AppArmor profile type to "container.apparmor.security.beta.kubernetes.io/a="unconfined"")"#,
        ),
        (
            with(
                &format!("{context}/capabilities"),
                json!({"add": ["SYS_ADMIN", "CHOWN", "NET_RAW"], "drop": ["ALL"]}),
            ),
            r#"non-default capabilities (container "a" must not include "NET_RAW", "SYS_ADMIN" in securityContext.capabilities.add)"#,
        ),
        (with("/spec/hostPID", json!(true)), "host namespaces (hostPID=true)"),
        (
            with(
                "/spec/volumes",
                json!([{"name": "v", "hostPath": {"path": "/"}}, {"name": "w", "hostPath": {"path": "/"}}]),
            ),
            r#"hostPath volumes (volumes "v", "w")"#,
        ),
        (
            with(&format!("{container}/ports"), json!([{"hostPort": 80}, {"hostPort": 9}, {"hostPort": 0}])),
            r#"hostPort (container "a" uses hostPorts 80, 9)"#,
        ),
        (
            with(&format!("{container}/lifecycle"), json!({"preStop": {"httpGet": {"host": "h"}}})),
            r#"probe or lifecycle host (container "a" uses probe or lifecycle host "h")"#,
        ),
        (
            with(&format!("{context}/privileged"), json!(true)),
            r#"privileged (container "a" must not set securityContext.privileged=true)"#,
        ),
        (
            with(&format!("{context}/procMount"), json!("Unmasked")),
            r#"procMount (container "a" must not set securityContext.procMount to "Unmasked")"#,
        ),
        (
            with(&format!("{context}/seLinuxOptions"), json!({"type": "x", "user": "u", "role": "r"})),
            r#"seLinuxOptions (container "a" set forbidden securityContext.seLinuxOptions: type "x"; user may not be set; role may not be set)"#,
        ),
        (
            with("/spec/securityContext/seccompProfile", json!({"type": "Unconfined"})),
            r#"seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")"#,
        ),
        (
            with("/spec/securityContext/sysctls", json!([{"name": "kernel.msgmax"}, {"name": "net.ipv4.tcp_rmem"}])),
            "forbidden sysctls (kernel.msgmax)",
        ),
        (
            with("/spec/securityContext/windowsOptions", json!({"hostProcess": true})),
            "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
        ),
    ];
    for (pod, expected) in &cases {
        assert_eq!(says(Level::Baseline, None, pod), *expected);
    }
}

#[test]
fn restricted_checks_stand_in_for_those_of_the_baseline() {
    let pod = with("/spec/volumes", json!([{"name": "v", "hostPath": {"path": "/"}}, {"name": "n", "nfs": {}}]));
    assert_eq!(
        says(Level::Restricted, None, &pod),
        r#"restricted volume types (volumes "v", "n" use restricted volume types "hostPath", "nfs")"#
    );
    let bare = json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}});
    assert_eq!(
        says(Level::Restricted, Some(7), &bare),
        r#"runAsNonRoot != true (pod or containers "a", "b" must set securityContext.runAsNonRoot=true)"#
    );
    let root = with("/spec/securityContext/runAsUser", json!(0));
    assert_eq!(says(Level::Restricted, None, &root), "runAsUser=0 (pod must not set runAsUser=0)");
    assert_eq!(says(Level::Restricted, Some(22), &root), "");
}

#[test]
fn versions_decide_which_checks_there_are() {
    let probe = with("/spec/containers/0/livenessProbe", json!({"tcpSocket": {"host": "h"}}));
    assert_eq!(says(Level::Baseline, Some(33), &probe), "");
    assert_ne!(says(Level::Baseline, Some(34), &probe), "");
    let sysctl = with("/spec/securityContext/sysctls", json!([{"name": "net.ipv4.tcp_rmem"}]));
    assert_eq!(says(Level::Baseline, Some(31), &sysctl), "forbidden sysctls (net.ipv4.tcp_rmem)");
    let windows = json!({"spec": {
        "os": {"name": "windows"}, "containers": [{"name": "a", "securityContext": {"runAsNonRoot": true}}],
    }});
    assert_eq!(says(Level::Restricted, Some(25), &windows), "");
    assert_eq!(says(Level::Restricted, Some(24), &windows).matches(" (").count(), 3);
    let mut own_users = with("/spec/containers/0/securityContext/procMount", json!("Unmasked"));
    own_users["spec"]["hostUsers"] = json!(false);
    assert_eq!(says(Level::Baseline, None, &own_users), "");
    assert!(says(Level::Restricted, None, &own_users).starts_with("procMount "));
    assert!(says(Level::Baseline, Some(34), &own_users).starts_with("procMount "));
}

#[test]
fn labels_that_make_no_sense() {
    let labels = json!({
        "pod-security.kubernetes.io/enforce": "strict", "pod-security.kubernetes.io/enforce-version": "v1.01",
        "pod-security.kubernetes.io/warn": "x",
    });
    let policies = Policies::of(&labels);
    assert_eq!(
        (policies.enforce.to_string(), policies.warn.level),
        ("restricted:latest".to_owned(), Level::Privileged)
    );
    assert_eq!(
        policies.error_text(),
        r#"[metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted, metadata.labels[pod-security.kubernetes.io/enforce-version]: Invalid value: "v1.01": must be "latest" or "v1.x", metadata.labels[pod-security.kubernetes.io/warn]: Invalid value: "x": must be one of privileged, baseline, restricted]"#
    );
    let follows = Policies::of(
        &json!({"pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/enforce-version": "v1.20"}),
    );
    assert_eq!(follows.warn.to_string(), "baseline:v1.20");
}

#[test]
fn a_stricter_namespace_warns_about_its_pods() {
    let bad = |name: &str| json!({"metadata": {"name": name, "namespace": "shop"}, "spec": {"hostPID": true, "containers": []}});
    let cluster = <Objects as Default>::default().with("pods", "shop", bad("b")).with("pods", "shop", bad("a")).with(
        "pods",
        "shop",
        fine(),
    );
    let kind = GroupVersionKind::new("", "v1", "Namespace");
    let resource = GroupVersionResource::new("", "v1", "namespaces");
    let mut attributes = Attributes::new(Operation::Update, kind, resource);
    attributes.name = "shop".to_owned();
    attributes.namespace = "shop".to_owned();
    let namespace =
        |level: &str| json!({"metadata": {"name": "shop", "labels": {"pod-security.kubernetes.io/enforce": level}}});
    attributes.old_object = Some(namespace("privileged").into());
    attributes.object = Some(namespace("baseline"));
    validate(&cluster, &mut attributes).unwrap();
    assert_eq!(
        attributes.warnings,
        [
            r#"existing pods in namespace "shop" violate the new PodSecurity enforce level "baseline:latest""#,
            "a (and 1 other pod): host namespaces",
        ]
    );
    attributes.object = Some(namespace("none"));
    assert_eq!(validate(&cluster, &mut attributes).unwrap_err().code, 422);
}
