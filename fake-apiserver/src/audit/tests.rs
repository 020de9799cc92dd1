use apimachinery::value::json;

use super::policy::{Level, Policy, PolicyError};
use super::record::{Record, Request};
use crate::admission::UserInfo;
use crate::request::path::RequestInfo;

fn user(name: &str, groups: &[&str]) -> UserInfo {
    let groups = groups.iter().map(|&group| group.to_owned()).collect();
    UserInfo { username: name.to_owned(), groups, ..UserInfo::default() }
}

fn level(policy: &Policy, method: http::Method, path: &str, user: &UserInfo) -> Level {
    let info = RequestInfo::parse(&method, path, false);
    policy.scope(&request(&info, path, user)).level
}

fn request<'a>(info: &'a RequestInfo, path: &'a str, user: &'a UserInfo) -> Request<'a> {
    Request {
        id: "id".to_owned(),
        uri: path.to_owned(),
        info,
        path,
        user,
        source_ips: vec!["127.0.0.1".to_owned()],
        user_agent: "test".to_owned(),
        received: "2026-01-01T00:00:00.000000Z".to_owned(),
    }
}

const POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: None
  users: ["system:kube-proxy"]
  verbs: [watch, get]
- level: None
  nonResourceURLs: ["/healthz*", "/version"]
- level: Metadata
  resources: [{group: "", resources: [secrets, pods/log, "*/status"]}, {group: apps, resources: ["deployments/*"]}]
- level: Request
  userGroups: ["team"]
  namespaces: [shop]
  omitManagedFields: false
- level: RequestResponse
  resources: [{group: "", resources: [configmaps], resourceNames: [one]}]
- level: Request
  namespaces: [""]
  resources: [{group: ""}]
"#;

#[test]
fn the_first_rule_that_matches_decides() {
    use http::Method;
    let policy = Policy::parse(POLICY).unwrap();
    let (anybody, proxy, member) = (user("a", &["g"]), user("system:kube-proxy", &[]), user("m", &["g", "team"]));
    for (method, path, user, expected) in [
        (Method::GET, "/api/v1/namespaces/shop/pods/p", &proxy, Level::None),
        (Method::GET, "/healthz/ping", &anybody, Level::None),
        (Method::GET, "/version", &anybody, Level::None),
        (Method::GET, "/apis", &anybody, Level::None),
        (Method::GET, "/api/v1/namespaces/shop/secrets/s", &member, Level::Metadata),
        (Method::GET, "/api/v1/namespaces/a/pods/p/log", &anybody, Level::Metadata),
        (Method::PUT, "/api/v1/namespaces/a/pods/p/status", &anybody, Level::Metadata),
        (Method::PUT, "/apis/apps/v1/namespaces/a/deployments/d/scale", &anybody, Level::Metadata),
        (Method::GET, "/apis/apps/v1/namespaces/a/deployments/d", &anybody, Level::Metadata),
        (Method::POST, "/api/v1/namespaces/shop/pods", &member, Level::Request),
        (Method::POST, "/api/v1/namespaces/shop/pods", &anybody, Level::None),
        (Method::GET, "/api/v1/namespaces/a/configmaps/one", &anybody, Level::RequestResponse),
        (Method::GET, "/api/v1/namespaces/a/configmaps/two", &anybody, Level::None),
        (Method::GET, "/api/v1/nodes/n", &anybody, Level::Request),
    ] {
        assert_eq!(level(&policy, method.clone(), path, user), expected, "{method} {path} {}", user.username);
    }
}

#[test]
fn a_policy_that_makes_no_sense_is_refused_by_its_field() {
    let error = |text: &str| Policy::parse(text).unwrap_err().to_string();
    let head = "apiVersion: audit.k8s.io/v1\nkind: Policy\n";
    assert!(matches!(Policy::parse(head), Err(PolicyError::NoRules)));
    assert!(error("kind: Pod").ends_with("\" Pod\" was found"));
    let level = error(&format!("{head}rules: [{{level: Metadata}}, {{level: Loud}}]"));
    assert_eq!(level, "audit policy: rules[1].level: \"Loud\" is not one of None, Metadata, Request, RequestResponse");
    assert!(error(&format!("{head}omitStages: [Sometimes]\nrules: [{{level: None}}]")).contains("omitStages[0]"));
}

#[test]
fn levels_decide_what_an_event_holds() {
    let info = RequestInfo::parse(&http::Method::POST, "/api/v1/namespaces/shop/pods", false);
    let someone = user("a", &[]);
    for (level, objects) in [(Level::Metadata, 0), (Level::Request, 1), (Level::RequestResponse, 2)] {
        let policy = Policy::at(level);
        let request = request(&info, "/api/v1/namespaces/shop/pods", &someone);
        let record = Record::new(policy.scope(&request), request);
        assert_eq!(record.line("RequestReceived", ""), None);
        record.annotate("mutation.webhook.admission.k8s.io/round_0_index_0", "first");
        record.annotate("mutation.webhook.admission.k8s.io/round_0_index_0", "second");
        record.annotate("patch.webhook.admission.k8s.io/round_0_index_0", "[]");
        record.request_object(&json!({"metadata": {"name": "p"}}), false);
        record.response(201, Some(json!({"kind": "Pod"})));
        let line = record.line("ResponseComplete", "2026-01-01T00:00:01.000000Z").unwrap();
        let event: apimachinery::value::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(event["objectRef"]["name"], "p");
        assert_eq!(event["annotations"]["mutation.webhook.admission.k8s.io/round_0_index_0"], "first");
        let has = ["requestObject", "responseObject"].iter().filter(|key| event.get(**key).is_some()).count();
        assert_eq!(has, objects, "{level:?}");
        assert_eq!(event["annotations"].as_object().unwrap().len(), if objects == 0 { 1 } else { 2 });
        assert_eq!(event["responseStatus"], json!({"metadata": {}, "code": 201}));
    }
}
