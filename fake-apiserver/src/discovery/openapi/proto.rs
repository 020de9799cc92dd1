//! The document of version 2 as protobuf, for clients that validate with it (kubectl before 1.27, and newer ones at need).
//!
//! The messages are those of `openapi.v2.Document` (google/gnostic); a field's number stands beside its name.

use apimachinery::value::{Map, Value};

/// A message that is being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push((value & 0x7f) as u8);
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u32, value: &Value) {
        if let Some(text) = value.as_str().filter(|text| !text.is_empty()) {
            self.bytes(field, text.as_bytes());
        }
    }

    fn texts(&mut self, field: u32, value: &Value) {
        for text in value.as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.bytes(field, text.as_bytes());
        }
    }

    fn flag(&mut self, field: u32, value: &Value) {
        if value == &Value::Bool(true) {
            self.varint(u64::from(field) << 3);
            self.varint(1);
        }
    }

    fn message(&mut self, field: u32, message: Message) {
        self.bytes(field, &message.0);
    }
}

/// The whole document.
pub(super) fn document(document: &Value) -> Vec<u8> {
    let mut out = Message::default();
    out.text(1, &document["swagger"]);
    let mut info = Message::default();
    info.text(1, &document["info"]["title"]);
    info.text(2, &document["info"]["version"]);
    out.message(2, info);
    out.message(8, named(2, &document["paths"], path_item));
    out.message(9, named(1, &document["definitions"], schema));
    out.message(10, named(1, &document["parameters"], parameter));
    out.0
}

/// A message that holds `name: 1, value: 2` pairs in one of its fields.
fn named(field: u32, value: &Value, write: fn(&Value) -> Message) -> Message {
    let mut out = Message::default();
    for (name, value) in value.as_object().into_iter().flatten() {
        let mut pair = Message::default();
        pair.bytes(1, name.as_bytes());
        pair.message(2, write(value));
        out.message(field, pair);
    }
    out
}

fn path_item(item: &Value) -> Message {
    const METHODS: [(&str, u32); 7] =
        [("get", 2), ("put", 3), ("post", 4), ("delete", 5), ("options", 6), ("head", 7), ("patch", 8)];
    let mut out = Message::default();
    for (method, field) in METHODS {
        if item[method].is_object() {
            out.message(field, operation(&item[method]));
        }
    }
    parameters(&mut out, 9, &item["parameters"]);
    out
}

fn operation(operation: &Value) -> Message {
    let mut out = Message::default();
    out.texts(1, &operation["tags"]);
    out.text(3, &operation["description"]);
    out.text(5, &operation["operationId"]);
    out.texts(6, &operation["produces"]);
    out.texts(7, &operation["consumes"]);
    parameters(&mut out, 8, &operation["parameters"]);
    let mut responses = Message::default();
    for (code, response) in operation["responses"].as_object().into_iter().flatten() {
        let mut one = Message::default();
        one.text(1, &response["description"]);
        if response["schema"].is_object() {
            let mut item = Message::default();
            item.message(1, schema(&response["schema"]));
            one.message(2, item);
        }
        let mut value = Message::default();
        value.message(1, one);
        let mut pair = Message::default();
        pair.bytes(1, code.as_bytes());
        pair.message(2, value);
        responses.message(1, pair);
    }
    out.message(9, responses);
    out.texts(10, &operation["schemes"]);
    if let Some(fields) = operation.as_object() {
        extensions(&mut out, 13, fields);
    }
    out
}

fn parameters(out: &mut Message, field: u32, list: &Value) {
    for one in list.as_array().into_iter().flatten() {
        let mut item = Message::default();
        if one["$ref"].is_string() {
            let mut reference = Message::default();
            reference.text(1, &one["$ref"]);
            item.message(2, reference);
        } else {
            item.message(1, parameter(one));
        }
        out.message(field, item);
    }
}

fn parameter(value: &Value) -> Message {
    let mut out = Message::default();
    if value["in"] == "body" {
        let mut body = Message::default();
        body.text(1, &value["description"]);
        body.text(2, &value["name"]);
        body.text(3, &value["in"]);
        body.flag(4, &value["required"]);
        body.message(5, schema(&value["schema"]));
        out.message(1, body);
        return out;
    }
    let in_path = value["in"] == "path";
    let mut own = Message::default();
    own.flag(1, &value["required"]);
    own.text(2, &value["in"]);
    own.text(3, &value["description"]);
    own.text(4, &value["name"]);
    // Of the two messages only that of the query allows empty values, which moves the type by one.
    own.text(if in_path { 5 } else { 6 }, &value["type"]);
    let mut sub = Message::default();
    sub.message(if in_path { 4 } else { 3 }, own);
    out.message(2, sub);
    out
}

fn schema(value: &Value) -> Message {
    let mut out = Message::default();
    out.text(1, &value["$ref"]);
    out.text(2, &value["format"]);
    out.text(3, &value["title"]);
    out.text(4, &value["description"]);
    out.texts(19, &value["required"]);
    match &value["additionalProperties"] {
        Value::Object(_) => {
            let mut item = Message::default();
            item.message(1, schema(&value["additionalProperties"]));
            out.message(21, item);
        }
        Value::Bool(true) => {
            let mut item = Message::default();
            item.flag(2, &Value::Bool(true));
            out.message(21, item);
        }
        _ => {}
    }
    if value["type"].is_string() {
        let mut item = Message::default();
        item.text(1, &value["type"]);
        out.message(22, item);
    }
    if value["items"].is_object() {
        let mut item = Message::default();
        item.message(1, schema(&value["items"]));
        out.message(23, item);
    }
    if value["properties"].is_object() {
        out.message(25, named(1, &value["properties"], schema));
    }
    if let Some(fields) = value.as_object() {
        extensions(&mut out, 31, fields);
    }
    out
}

/// Fields that begin with `x-`, their values as YAML.
fn extensions(out: &mut Message, field: u32, fields: &Map) {
    for (name, value) in fields.iter().filter(|(name, _)| name.starts_with("x-")) {
        let mut any = Message::default();
        any.bytes(2, apimachinery::yaml::to_string(value).as_bytes());
        let mut pair = Message::default();
        pair.bytes(1, name.as_bytes());
        pair.message(2, any);
        out.message(field, pair);
    }
}
