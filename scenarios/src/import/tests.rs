use std::collections::HashMap;
use std::io::Cursor;

use super::*;

const AUDIT: &[u8] = include_bytes!("recorded/audit.jsonl.zst");
/// What the webhooks received during the same run.
const RECEIVED: &[u8] = include_bytes!("recorded/webhook-side.jsonl.zst");

fn imported(bytes: impl Into<Vec<u8>>) -> (Vec<Record>, Imported) {
    let (mut records, mut imported) = (Vec::new(), Imported::default());
    let reader = Reader::new(Cursor::new(bytes.into())).unwrap();
    import("test", reader, None, &mut imported, |record| {
        records.push(record.clone());
        Ok(())
    })
    .unwrap();
    (records, imported)
}

fn request(record: &Record) -> Value {
    serde_json::from_str::<Value>(&record.body).unwrap()["request"].take()
}

/// Reviews are told apart by everything that both logs hold about a pod as it was sent.
fn key(request: &Value, webhook: &str) -> String {
    let object = &request["object"];
    let container = &object["spec"]["containers"][0];
    let what = json!([
        request["namespace"],
        object["metadata"]["name"],
        object["metadata"]["generateName"],
        container["name"],
        container["image"],
        container["ports"],
        request["dryRun"]
    ]);
    format!("{webhook} {what}")
}

/// Where a rebuilt review and what the webhook received differ.
#[derive(Debug)]
struct Difference {
    /// A JSON pointer with `*` for the index in a list, `-` for items beyond the end of the other.
    path: String,
    received: Option<Value>,
    rebuilt: Option<Value>,
    /// Whether the object was stored.
    stored: bool,
}

fn differences(path: &str, received: &Value, rebuilt: &Value, stored: bool, into: &mut Vec<Difference>) {
    let mut one = |path: String, received: Option<&Value>, rebuilt: Option<&Value>| {
        into.push(Difference { path, received: received.cloned(), rebuilt: rebuilt.cloned(), stored });
    };
    match (received, rebuilt) {
        (Value::Object(theirs), Value::Object(ours)) => {
            for key in theirs.keys().chain(ours.keys().filter(|key| !theirs.contains_key(key))) {
                let below = format!("{path}/{key}");
                match (theirs.get(key), ours.get(key)) {
                    (Some(theirs), Some(ours)) => differences(&below, theirs, ours, stored, into),
                    (theirs, ours) => {
                        into.push(Difference { path: below, received: theirs.cloned(), rebuilt: ours.cloned(), stored })
                    }
                }
            }
        }
        (Value::Array(theirs), Value::Array(ours)) => {
            for more in theirs.iter().skip(ours.len()) {
                one(format!("{path}/-"), Some(more), None);
            }
            for more in ours.iter().skip(theirs.len()) {
                one(format!("{path}/-"), None, Some(more));
            }
            for (theirs, ours) in theirs.iter().zip(ours) {
                differences(&format!("{path}/*"), theirs, ours, stored, into);
            }
        }
        (theirs, ours) if theirs == ours => {}
        (theirs, ours) => one(path.to_owned(), Some(theirs), Some(ours)),
    }
}

/// Whether a row allows a difference.
type Allows = fn(&Difference) -> bool;

/// What an audit log does not hold: the rows of the table in docs/towtank.md by their beginnings, and the differences that
/// each of them allows. Of those without, the recorded run has none.
const ROWS: [(&str, Allows); 7] = [
    ("the review's `uid`", |it| it.path == "/request/uid"),
    ("path, query and headers of the call; its version", |it| {
        it.path == "/apiVersion" && it.received == Some("admission.k8s.io/v1beta1".into())
    }),
    ("where no object was stored", |it| {
        let Some(path) = it.path.strip_prefix("/request/object") else { return false };
        let text = it.received.as_ref().map(Value::to_string).unwrap_or_default();
        let added = match path.replace("/initContainers/", "/containers/").as_str() {
            "/metadata/managedFields"
            | "/metadata/annotations/kubernetes.io/limit-ranger"
            | "/spec/serviceAccount"
            | "/spec/serviceAccountName"
            | "/spec/priority"
            | "/spec/preemptionPolicy"
            | "/spec/containers/*/resources/limits"
            | "/spec/containers/*/resources/requests" => true,
            "/spec/tolerations" | "/spec/tolerations/-" => text.contains("node.kubernetes.io/"),
            "/spec/volumes"
            | "/spec/volumes/-"
            | "/spec/containers/*/volumeMounts"
            | "/spec/containers/*/volumeMounts/-" => text.contains("kube-api-access-"),
            _ => false,
        };
        added && !it.stored && it.rebuilt.is_none()
    }),
    ("the annotation `kubernetes.io/limit-ranger`", |it| {
        let there = it.received.is_some() && it.rebuilt.is_some();
        it.path == "/request/object/metadata/annotations/kubernetes.io/limit-ranger" && it.stored && there
    }),
    ("defaults of what an earlier webhook", |_| false),
    ("`oldObject`; for PATCH the object", |_| false),
    ("warnings and audit annotations of the answer", |_| false),
];

#[test]
fn an_audit_log_becomes_what_the_webhooks_received() {
    let (records, imported) = imported(AUDIT);
    assert_eq!((records.len(), imported.unreadable), (140, 0), "{:?}", imported.passed_over);
    let body = |record: &Record| serde_json::from_str::<Value>(&record.body).unwrap();
    let mut received: HashMap<String, Vec<Value>> = HashMap::new();
    for record in Reader::new(RECEIVED).unwrap().map(Result::unwrap) {
        let webhook = match record.path.as_str() {
            "/inject" => "a.capture.example.com",
            "/inject-v1beta1" => "c.capture.example.com",
            _ => "b.capture.example.com",
        };
        received.entry(key(&request(&record), webhook)).or_default().push(body(&record));
    }
    let (mut compared, mut unheard, mut seen) = (0, 0, [0; ROWS.len()]);
    for record in &records {
        assert!(record.path.is_empty() && record.query.is_empty() && record.headers.is_empty());
        let rebuilt = body(record);
        let candidates = received.get_mut(&key(&rebuilt["request"], &record.webhook)).filter(|list| !list.is_empty());
        let Some(candidates) = candidates else {
            // The recorder on the webhook's side lost four of them.
            unheard += 1;
            continue;
        };
        let stored = !rebuilt["request"]["object"]["metadata"]["managedFields"].is_null();
        let found = candidates.iter().enumerate().map(|(at, candidate)| {
            let mut found = Vec::new();
            differences("", candidate, &rebuilt, stored, &mut found);
            (at, found)
        });
        // Pods of one ReplicaSet are told apart by the least.
        let (at, found) = found.min_by_key(|(_, found)| found.len()).unwrap();
        candidates.remove(at);
        compared += 1;
        for difference in found {
            let row = ROWS.iter().position(|(_, allows)| allows(&difference));
            seen[row.unwrap_or_else(|| panic!("no row of the documentation allows {difference:#?}"))] += 1;
        }
    }
    assert_eq!((compared, unheard), (136, 4));
    assert!(received.values().all(Vec::is_empty), "everything that was received was rebuilt");
    assert_eq!((seen[0], seen[1], seen[3], &seen[4..]), (136, 8, 2, &[0, 0, 0][..]), "{seen:?}");
    assert!(seen[2] > 0);
}

#[test]
fn the_documentation_says_what_an_audit_log_does_not_hold() {
    let documentation = include_str!("../../../docs/towtank.md");
    let (_, table) = documentation.split_once("| not in an audit log | in the rebuilt review |\n|---|---|\n").unwrap();
    let rows: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), ROWS.len());
    for (row, (begins, _)) in rows.iter().zip(ROWS) {
        assert!(row.starts_with(&format!("| {begins}")), "{row}\n  wanted: {begins}");
    }
}

#[test]
fn the_recorded_patches_are_the_answers() {
    let (records, _) = imported(AUDIT);
    let mut mutated = 0;
    for record in &records {
        let answer: Value = serde_json::from_str(&record.response.as_ref().unwrap().body).unwrap();
        assert_eq!(answer["response"]["uid"], request(record)["uid"]);
        mutated += usize::from(answer["response"]["patchType"] == "JSONPatch");
    }
    assert_eq!(mutated, 140);
}

fn event(annotations: Value, stored: Value) -> Value {
    json!({ "kind": "Event", "apiVersion": "audit.k8s.io/v1", "stage": "ResponseComplete", "level": "RequestResponse", "verb": "create", "auditID": "x",
        "requestURI": "/api/v1/namespaces/shop/pods?fieldManager=kubectl-create", "user": { "username": "alice" },
        "objectRef": { "resource": "pods", "namespace": "shop", "apiVersion": "v1" }, "annotations": annotations,
        "requestObject": { "kind": "Pod", "apiVersion": "v1", "metadata": { "name": "web" },
            "spec": { "containers": [{ "name": "app", "image": "a" }, { "name": "old", "image": "o" }] } },
        "responseObject": stored, "responseStatus": { "code": 201 } })
}

fn annotation(webhook: &str, patch: Value) -> (String, String) {
    let patch = json!({ "configuration": "c", "webhook": webhook, "patch": patch, "patchType": "JSONPatch" });
    let called = json!({ "configuration": "c", "webhook": webhook, "mutated": true });
    (called.to_string(), patch.to_string())
}

#[test]
fn each_webhook_sees_what_the_one_before_it_left() {
    let (a, a_patch) = annotation(
        "a",
        json!([
        { "op": "add", "path": "/spec/containers/-", "value": { "name": "proxy", "image": "p" } },
        { "op": "remove", "path": "/spec/containers/1" },
        { "op": "add", "path": "/spec/tolerations/-", "value": { "key": "a" } },
        { "op": "add", "path": "/metadata/annotations/a~1b", "value": "c" }]),
    );
    let (b, b_patch) = annotation("b", json!([{ "op": "add", "path": "/metadata/labels", "value": { "b": "1" } }]));
    let stored = json!({ "kind": "Pod", "apiVersion": "v1", "metadata": { "name": "web", "namespace": "shop", "uid": "u",
        "labels": { "b": "1" }, "annotations": { "a/b": "c", "limits": "set" } },
        "spec": { "serviceAccountName": "default", "tolerations": [{ "key": "not-ready" }, { "key": "a" }], "containers": [
            { "name": "app", "image": "a", "volumeMounts": [{ "name": "token" }] },
            { "name": "proxy", "image": "p", "terminationMessagePath": "/dev/termination-log" }] },
        "status": { "phase": "Pending" } });
    let event = event(
        json!({
            "mutation.webhook.admission.k8s.io/round_0_index_10": b, "patch.webhook.admission.k8s.io/round_0_index_10": b_patch,
            "mutation.webhook.admission.k8s.io/round_0_index_2": a, "patch.webhook.admission.k8s.io/round_0_index_2": a_patch,
        }),
        stored,
    );
    let (records, _) = imported(event.to_string());
    assert_eq!(records.iter().map(|record| record.webhook.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let first = json!({ "kind": "Pod", "apiVersion": "v1",
        "metadata": { "name": "web", "namespace": "shop", "annotations": { "limits": "set" } },
        "spec": { "serviceAccountName": "default", "tolerations": [{ "key": "not-ready" }], "containers": [
            { "name": "app", "image": "a", "volumeMounts": [{ "name": "token" }] }, { "name": "old", "image": "o" }] } });
    assert_eq!(request(&records[0])["object"], first);
    let second = request(&records[1])["object"].take();
    assert_eq!(second["metadata"]["annotations"], json!({ "limits": "set", "a/b": "c" }));
    assert_eq!(second["spec"]["containers"][1]["name"], "proxy");
    assert_eq!(second["spec"]["tolerations"], json!([{ "key": "not-ready" }, { "key": "a" }]));
    assert!(second["metadata"]["labels"].is_null(), "the second webhook's own patch comes later");
    assert_eq!(request(&records[0])["options"]["fieldManager"], "kubectl-create");
}

#[test]
fn a_denial_is_the_answer_of_the_webhook_that_denied() {
    let called = json!({ "configuration": "c", "webhook": "a.b.c", "mutated": false }).to_string();
    let mut event = event(json!({ "mutation.webhook.admission.k8s.io/round_0_index_0": called }), Value::Null);
    event["responseStatus"] = json!({ "code": 403, "message": "admission webhook \"a.b.c\" denied the request: no" });
    let (records, _) = imported(event.to_string());
    let answer: Value = serde_json::from_str(&records[0].response.as_ref().unwrap().body).unwrap();
    assert_eq!(
        (&answer["response"]["allowed"], &answer["response"]["status"]["message"]),
        (&json!(false), &json!("no"))
    );
}

#[test]
fn reviews_come_in_many_wrappings() {
    let review = json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
        "request": { "uid": "u", "operation": "CREATE", "kind": { "kind": "Pod" }, "object": { "text": "a\n\nb\n" } } });
    let yaml = apimachinery::yaml::to_string(&review);
    for (name, text, count) in [
        ("one line", review.to_string(), 1),
        ("pretty", format!("{review:#}"), 1),
        ("YAML", yaml.clone(), 1),
        ("documents", format!("---\n{yaml}---\n{yaml}"), 2),
        ("OPA input", json!({ "input": review }).to_string(), 1),
        (
            "OPA input of a request",
            format!("{:#}", json!({ "input": { "request": review["request"], "kind": "AdmissionReview" } })),
            1,
        ),
        ("Gatekeeper", json!({ "input": { "review": review["request"], "parameters": {} } }).to_string(), 1),
        ("decision log", format!("{0}\n{0}\n", json!({ "decision_id": "d", "input": review, "result": true })), 2),
        ("list", json!({ "kind": "List", "items": [review, review] }).to_string(), 2),
        ("capture log", format!("{}\n", json!({ "format_version": 1, "body": review })), 1),
    ] {
        let (records, imported) = imported(text);
        assert_eq!((records.len(), imported.unreadable), (count, 0), "{name}: {:?}", imported.problems);
        assert!(records.iter().all(|record| request(record)["object"]["text"] == "a\n\nb\n"), "{name}");
    }
}

#[test]
fn an_injector_log_of_istio_1_0() {
    let log = concat!(
        "2019-01-31T12:00:00.000000Z\tinfo\tversion root@x-docker.io/istio-1.0.6\n",
        "2019-01-31T12:00:01.250000Z\tinfo\tAdmissionReview for Kind=/v1, Kind=Pod Namespace=shop Name= () UID=u-1 Rfc6902PatchOperation=CREATE ",
        "UserInfo={system:serviceaccount:kube-system:replicaset-controller  [system:serviceaccounts system:authenticated] map[]}\n",
        "2019-01-31T12:00:01.250100Z\tdebug\tObject: {\"metadata\":{\"generateName\":\"web-\"},\"spec\":{}}\n",
        "2019-01-31T12:00:01.250200Z\tdebug\tOldObject: \n",
        "2019-01-31T12:00:01.251000Z\tinfo\tAdmissionResponse: patch=[{\"op\":\"add\",\"path\":\"/a\",\"value\":1}]\n",
        "2019-01-31T12:00:02.000000Z\tinfo\tAdmissionReview for Kind=/v1, Kind=Pod Namespace=shop Name= () UID=u-2 Rfc6902PatchOperation=CREATE ",
        "UserInfo={admin uid-7 [system:masters] map[]}\n",
    );
    let (records, imported) = imported(log);
    assert_eq!(records.len(), 1);
    let review = request(&records[0]);
    assert_eq!(review["userInfo"]["username"], "system:serviceaccount:kube-system:replicaset-controller");
    assert_eq!(review["userInfo"]["groups"], json!(["system:serviceaccounts", "system:authenticated"]));
    assert_eq!(review["object"]["metadata"]["generateName"], "web-");
    assert!(records[0].response.as_ref().unwrap().body.contains("JSONPatch"));
    assert_eq!(imported.passed_over.values().sum::<u64>(), 1, "the second has no object: {:?}", imported.passed_over);
}

/// What comes of manifests, as if read from files.
fn manifest_reviews(texts: &[&str]) -> (Vec<Value>, Imported) {
    let (mut reviews, mut imported) = (Vec::new(), Imported::default());
    for text in texts {
        let reader = Reader::new(Cursor::new(text.as_bytes().to_vec())).unwrap();
        import("test", reader, None, &mut imported, |_| Ok(())).unwrap();
    }
    let objects = std::mem::take(&mut imported.manifests);
    manifests(objects.into(), &mut imported, |record| {
        reviews.push(request(record));
        Ok(())
    })
    .unwrap();
    (reviews, imported)
}

#[test]
fn manifests_become_the_reviews_of_their_pods() {
    let template =
        "{metadata: {labels: {app: web}}, spec: {serviceAccountName: teller, containers: [{name: app, image: a}]}}";
    let workloads = format!(
        "# a comment first\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, namespace: shop}}\n\
         spec: {{replicas: 2, selector: {{matchLabels: {{app: web}}}}, template: {template}}}\n---\n\
         apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: db, namespace: shop}}\n\
         spec: {{replicas: 2, serviceName: db, selector: {{matchLabels: {{app: web}}}}, template: {template}}}\n---\n\
         apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: nightly, namespace: shop}}\n\
         spec: {{schedule: '0 3 * * *', jobTemplate: {{spec: {{template: {{spec: {{restartPolicy: Never, containers: [{{name: app, image: a}}]}}}}}}}}}}\n"
    );
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "alone" },
        "spec": { "containers": [{ "name": "app", "image": "a" }] } });
    let service = json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" }, "spec": { "ports": [{ "port": 80 }] } });
    let list = format!("{:#}", json!({ "apiVersion": "v1", "kind": "List", "items": [service, pod] }));
    let bad = "apiVersion: v1\nkind: Pod\nmetadata: {name: bad}\nspec: {containers: []}\n";
    let (reviews, imported) = manifest_reviews(&[&workloads, &list, bad, &workloads]);
    let of = |review: &Value| {
        let metadata = &review["object"]["metadata"];
        let name = metadata["generateName"].as_str().or(metadata["name"].as_str()).unwrap().to_owned();
        (review["namespace"].as_str().unwrap().to_owned(), name.split('-').next().unwrap().to_owned())
    };
    let mut found: Vec<_> = reviews.iter().map(of).collect();
    found.sort();
    // The bad one, too: an apiserver asks webhooks before it validates.
    let want = [
        ("default", "alone"),
        ("default", "bad"),
        ("shop", "db"),
        ("shop", "db"),
        ("shop", "nightly"),
        ("shop", "web"),
        ("shop", "web"),
    ];
    assert_eq!(found, want.map(|(namespace, name)| (namespace.to_owned(), name.to_owned())), "{:?}", imported.problems);
    // As the apiserver sends it: made by a controller, defaults and the service account's volume in it.
    let web = reviews.iter().find(|review| of(review).1 == "web").unwrap();
    assert_eq!(web["userInfo"]["username"], "system:serviceaccount:kube-system:replicaset-controller");
    assert_eq!(web["object"]["metadata"]["ownerReferences"][0]["kind"], "ReplicaSet");
    assert_eq!(web["object"]["spec"]["serviceAccountName"], "teller");
    assert!(web["object"]["spec"]["volumes"][0]["projected"].is_object() && web["dryRun"] == false, "{web}");
    assert_eq!((imported.reviews, imported.unreadable), (7, 1), "{:?}", imported.problems);
    assert!(
        imported.problems[0].starts_with("Pod bad: ") && imported.problems[0].contains("containers"),
        "{:?}",
        imported.problems
    );
    let twice = |kind: &str| (format!("{kind}: one of its name came before it"), 1);
    let service = ("Service: no pod comes of it".to_owned(), 1);
    let passed_over = [twice("CronJob"), twice("Deployment"), service, twice("StatefulSet")];
    assert_eq!(imported.passed_over, passed_over.into());
    // The same in every run, but for uids that two controllers may draw in another order.
    let (again, _) = manifest_reviews(&[&workloads, &list, bad]);
    assert_eq!(again.iter().map(of).collect::<Vec<_>>(), reviews.iter().map(of).collect::<Vec<_>>());
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_goes_on() {
    let review = r#"{"kind":"AdmissionReview","request":{"uid":"u"}}"#;
    let (records, imported) = imported(format!(
        "{review}\n{{\"kind\":\"Pod\",\"x\":\"hunter2hunter2\"}}\n{{broken hunter2hunter2\n{review}\n{{\"kind\":"
    ));
    assert_eq!((records.len(), imported.unreadable), (2, 3));
    assert!(
        imported.problems[2].contains("line 5") && imported.problems[2].contains("torn"),
        "{:?}",
        imported.problems
    );
    assert!(!format!("{:?}", imported.problems).contains("hunter2"));
}

proptest::proptest! {
    #[test]
    fn any_text_is_taken(text in "\\PC{0,300}", lines in "([ -~]{0,40}\n){0,6}") {
        let mut sink = Imported::default();
        for text in [text, lines] {
            let _ = import("x", Reader::new(Cursor::new(text.into_bytes())).unwrap(), None, &mut sink, |_| Ok(()));
        }
    }
}
