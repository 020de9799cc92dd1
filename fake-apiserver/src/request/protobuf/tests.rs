use apimachinery::value::json;

use super::*;

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}

fn bytes(number: u64, contents: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(contents.len() as u64), contents.to_vec()].concat()
}

fn integer(number: u64, value: i64) -> Vec<u8> {
    [varint(number << 3), varint(value.cast_unsigned())].concat()
}

fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let type_meta = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
    [MAGIC.to_vec(), bytes(1, &type_meta), bytes(2, raw)].concat()
}

#[test]
fn a_deployment() {
    let label = |key: &[u8], value: &[u8]| [bytes(1, key), bytes(2, value)].concat();
    let metadata = [bytes(1, b"web"), bytes(3, b""), bytes(8, b""), bytes(11, &label(b"app", b"web"))].concat();
    let resources = bytes(1, &[bytes(1, b"cpu"), bytes(2, &bytes(1, b"100m"))].concat());
    let container = [bytes(1, b"app"), bytes(2, b"nginx"), bytes(8, &resources), bytes(13, b"")].concat();
    let template = bytes(2, &bytes(2, &container));
    let selector = bytes(1, &label(b"app", b"web"));
    let spec = [integer(1, 0), bytes(2, &selector), bytes(3, &template), bytes(4, b""), integer(5, 0)].concat();
    let object = decode(&body("apps/v1", "Deployment", &[bytes(1, &metadata), bytes(2, &spec)].concat()), "", "");
    assert_eq!(
        object.unwrap(),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "web", "labels": { "app": "web" } },
            "spec": {
                "replicas": 0,
                "selector": { "matchLabels": { "app": "web" } },
                "template": { "spec": { "containers": [
                    { "name": "app", "image": "nginx", "resources": { "limits": { "cpu": "100m" } } },
                ] } },
            },
        })
    );
}

#[test]
fn forms_of_their_own() {
    let source = bytes(6, &bytes(1, b"secret"));
    let volume = [bytes(1, b"v"), bytes(2, &source)].concat();
    let object = decode(&body("v1", "Pod", &bytes(2, &bytes(1, &volume))), "", "").unwrap();
    assert_eq!(object["spec"]["volumes"], json!([{ "name": "v", "secret": { "secretName": "secret" } }]));
    let secret = bytes(2, &[bytes(1, b"key"), bytes(2, b"\xffvalue")].concat());
    assert_eq!(decode(&body("v1", "Secret", &secret), "", "").unwrap()["data"]["key"], "/3ZhbHVl");
    let budget = bytes(2, &bytes(1, &[integer(1, 1), bytes(3, b"50%")].concat()));
    assert_eq!(
        decode(&body("policy/v1", "PodDisruptionBudget", &budget), "", "").unwrap()["spec"]["minAvailable"],
        "50%"
    );
    let extra = bytes(5, &[bytes(1, b"k"), bytes(2, &[bytes(1, b"a"), bytes(1, b"b")].concat())].concat());
    let review = decode(&body("authorization.k8s.io/v1", "SubjectAccessReview", &bytes(2, &extra)), "", "").unwrap();
    assert_eq!(review["spec"]["extra"], json!({ "k": ["a", "b"] }));
    let priority = decode(&body("scheduling.k8s.io/v1", "PriorityClass", &integer(2, -5)), "", "").unwrap();
    assert_eq!(priority["value"], -5);
}

#[test]
fn what_cannot_be_read_is_an_error() {
    assert_eq!(decode(b"{}", "", ""), Err(Error::NoMagic));
    let kind = Error::UnknownKind { api_version: "v1".into(), kind: "Boat".into() };
    assert_eq!(decode(&body("v1", "Boat", b""), "", ""), Err(kind));
    let whole = body("v1", "Pod", &bytes(1, &bytes(1, b"name")));
    for end in 0..whole.len() {
        let _ = decode(&whole[..end], "v1", "Pod");
    }
    assert_eq!(decode(&body("v1", "Pod", &[0xff; 20]), "", ""), Err(Error::Malformed));
}
