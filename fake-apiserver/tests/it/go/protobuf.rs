//! Protobuf as Go's typed clients write it: `k8s\0` and a `runtime.Unknown`, with the empty fields that Go does not leave out.

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}

/// A field that is a text or a message.
pub(super) fn field(number: u64, contents: impl AsRef<[u8]>) -> Vec<u8> {
    let contents = contents.as_ref();
    [varint(number << 3 | 2), varint(contents.len() as u64), contents.to_vec()].concat()
}

/// A field that is a number.
pub(super) fn number(number: u64, value: u64) -> Vec<u8> {
    [varint(number << 3), varint(value)].concat()
}

/// An entry of a map from text to text.
pub(super) fn entry(map: u64, key: &str, value: &str) -> Vec<u8> {
    field(map, [field(1, key), field(2, value)].concat())
}

/// The body of a request.
pub(super) fn body(api_version: &str, kind: &str, object: &[u8]) -> Vec<u8> {
    let type_meta = [field(1, api_version), field(2, kind)].concat();
    [b"k8s\0".to_vec(), field(1, type_meta), field(2, object), field(3, ""), field(4, "")].concat()
}

/// `metadata`: name, namespace and labels, and what Go writes besides.
pub(super) fn metadata(name: &str, namespace: &str, labels: &[(&str, &str)]) -> Vec<u8> {
    let labels = labels.iter().flat_map(|(key, value)| entry(11, key, value));
    let empty = |fields: std::ops::RangeInclusive<u64>| fields.flat_map(|at| field(at, "")).collect::<Vec<u8>>();
    let own = [field(1, name), field(2, ""), field(3, namespace), empty(4..=6), number(7, 0), field(8, "")].concat();
    field(1, own.into_iter().chain(labels).collect::<Vec<u8>>())
}
